class Invertible:
    def sample(self, noise):
        return self.backward(noise)

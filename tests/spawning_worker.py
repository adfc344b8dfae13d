"""The cage tests' worker as it runs where processes cannot be forked."""

import cage_worker

if __name__ == "__main__":
    cage_worker.main(fork=False)

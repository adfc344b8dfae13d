def drain(stages, gradients):
    """Send gradients back through a pipeline."""
    outbox = []
    stage = stages.pop()
    while gradients:
        outbox.append(stage.backward(gradients.pop()))
    return outbox

from nets.model import Classifier
from nets.optimizers import build


def main():
    classifier = Classifier()
    return classifier, build(classifier)

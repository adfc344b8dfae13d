from .model import DomainClassifier

__all__ = ["DomainClassifier"]

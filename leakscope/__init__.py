"""leakscope: follows the thread stacks of a running Python process and says which ones leak."""

__version__ = "0.1.0"

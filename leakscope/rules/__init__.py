"""The rules of judgement, one to a file: facts of a group in, a verdict or nothing out."""

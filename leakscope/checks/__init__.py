"""The rules of `leakscope doctor`: from findings to what was found and what to do. Pure."""

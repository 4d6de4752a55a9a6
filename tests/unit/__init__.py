"""Tests that start no process and never sleep."""

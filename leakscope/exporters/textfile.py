"""A file of figures for the textfile collector of Prometheus's node_exporter."""

from __future__ import annotations

from pathlib import PurePath

from leakscope.destination import Destination
from leakscope.errors import UsageProblem
from leakscope.exporters.prometheus import LatestReport
from leakscope.report import Report

SUFFIX = ".prom"  # node_exporter reads no other


class TextFile:
    """The figures of the latest report, in a file that is replaced as a whole.

    Several of them are read together, so each is told by a label: what it is called.
    """

    def __init__(self, path: str) -> None:
        """Raises UsageProblem when no such file can be written."""
        name = PurePath(path)
        if name.suffix != SUFFIX:
            raise UsageProblem(
                f"cannot write figures to {path}: node_exporter reads only files in {SUFFIX}"
            )
        self._destination = Destination(path)
        if not self._destination.is_own:
            self._destination.close()
            raise UsageProblem(
                f"cannot write figures to {path}: it is a pipe or a device, and not a file"
            )
        self._latest = LatestReport({"target": name.stem})

    def write(self, report: Report) -> None:
        """Replace what is there. Raises UsageProblem, and then what was there is still there."""
        self._latest.show(report)
        self._destination.write(self._latest.text())

    def close(self) -> None:
        """Leave the file as it is."""
        self._destination.close()

"""Files under the warehouse, on any storage Spark can write: put, get, list, delete."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Storage:
    """The folder `root`: a local path, or a URI that Hadoop's file systems understand."""

    spark: SparkSession
    root: str

    @property
    def is_local(self) -> bool:
        """True for a folder that this machine sees as a file system."""
        return SCHEME.match(self.root) is None or self.root.startswith("file:")

    @property
    def folder(self) -> Path:
        """The local folder; only where `is_local`."""
        return Path(re.sub("^file:(//)?", "", self.root))

    def path(self, name: str) -> str:
        """Where something in the folder lies."""
        return f"{self.root.rstrip('/')}/{name}"

    def readable(self, name: str) -> str:
        """Return the same for Spark's readers of files, which take *, ?, [ and { for patterns."""
        return re.sub(r"[\\*?\[\]{}]", r"\\\g<0>", self.path(name))

    def put(self, data: bytes, name: str) -> None:
        """Write a file of up to some ten megabytes; it appears whole or not at all."""
        if self.is_local:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            partial.write_bytes(data)
            partial.replace(target)
            return
        folder, slash, last = name.rpartition("/")
        system, partial = self._hadoop(f"{folder}{slash}.{last}.partial")
        _, path = self._hadoop(name)
        stream = system.create(partial, True)
        try:
            stream.write(bytearray(data))
        finally:
            stream.close()
        system.delete(path, False)
        system.rename(partial, path)

    def get(self, name: str) -> bytes | None:
        """Return a file's content, None if there is none."""
        if self.is_local:
            path = self.folder / name
            return path.read_bytes() if path.is_file() else None
        system, path = self._hadoop(name)
        if not system.exists(path):
            return None
        stream = system.open(path)
        try:
            return bytes(stream.readAllBytes())
        finally:
            stream.close()

    def delete(self, name: str) -> None:
        """Delete a file or folder, if it is there."""
        if self.is_local:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).unlink(missing_ok=True)
            return
        system, path = self._hadoop(name)
        system.delete(path, True)

    def children(self, name: str) -> list[str]:
        """Return the names in a folder, sorted; empty if there is none."""
        if self.is_local:
            folder = self.folder / name
            return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        system, path = self._hadoop(name)
        listed = system.listStatus(path) if system.exists(path) else []
        return sorted(status.getPath().getName() for status in listed)

    def free_bytes(self) -> int | None:
        """Return the free space of a local folder's disk, None elsewhere."""
        if not self.is_local:
            return None
        above = self.folder.absolute()
        return shutil.disk_usage(next(p for p in (above, *above.parents) if p.exists())).free

    def _hadoop(self, name: str) -> tuple[Any, Any]:
        jvm: Any = self.spark._jvm
        path = jvm.org.apache.hadoop.fs.Path(self.path(name))
        configuration = self.spark._jsparkSession.sessionState().newHadoopConf()
        return path.getFileSystem(configuration), path


def absolute(spark: SparkSession, root: str) -> str:
    """Return a local folder as an absolute path, any other as a URI.

    A path without a scheme lies where Spark looks for it: where Hadoop's `fs.defaultFS` says, which
    is this machine unless a cluster's configuration names another, such as HDFS.
    """
    hadoop: Any = spark._jvm.org.apache.hadoop.fs  # type: ignore[union-attr]
    default = hadoop.FileSystem.get(spark._jsparkSession.sessionState().newHadoopConf())
    if not SCHEME.match(root) and default.getScheme() != "file":
        return str(default.makeQualified(hadoop.Path(root)).toString())
    storage = Storage(spark, root)
    return str(storage.folder.absolute()) if storage.is_local else root

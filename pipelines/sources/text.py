"""Read a text file, plain or zipped, as numbered lines and columns of text."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from online.domain.errors import InvalidMarketData, NotFound
from online.domain.market import NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text file.

    Parameters
    ----------
    name
        File name without its folder.
    sha256
        Digest of the file's bytes (of the zip, where it is one), hexadecimal.
    lines
        Its lines without their ends; empty lines at the end of the file are not counted.
    """

    name: str
    sha256: str
    lines: list[str]


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    NotFound
        With code ``FILE_NOT_FOUND`` if there is no such file.
    InvalidMarketData
        With code ``EMPTY_FILE`` or ``UNREADABLE_FILE``.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"there is no file {path}", code="FILE_NOT_FOUND", remedy="Check the path."
        ) from None
    except OSError as error:
        raise InvalidMarketData(
            f"{path} cannot be read: {error.strerror}", code="UNREADABLE_FILE"
        ) from error
    if not content:
        raise InvalidMarketData(f"{path.name} is empty: expected rows", code="EMPTY_FILE")
    return content


def read_text(path: Path) -> SourceText:
    """Read a CSV file, or the only CSV file in a zip.

    Raises
    ------
    NotFound, InvalidMarketData
        As `read_bytes`; ``MALFORMED_FILE`` if a zip is damaged or does not hold exactly one CSV
        file, or if the text is neither UTF-8 nor UTF-16.
    """
    content = read_bytes(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if zipfile.is_zipfile(io.BytesIO(content)):
        content = _unzip(path.name, content)
    elif path.suffix.lower() == ".zip":
        raise InvalidMarketData(f"{path.name} is not a zip archive", code="MALFORMED_FILE")
    lines = [line.rstrip("\r") for line in _decode(path.name, content).split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InvalidMarketData(f"{path.name} holds no rows", code="EMPTY_FILE")
    return SourceText(path.name, sha256, lines)


def _unzip(name: str, content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.namelist() if m.lower().endswith(".csv")]
            if len(members) != 1:
                raise InvalidMarketData(
                    f"{name} must hold exactly one .csv file, it holds {len(members)}",
                    code="MALFORMED_FILE",
                )
            return archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidMarketData(
            f"{name} is a damaged or encrypted zip: {error}", code="MALFORMED_FILE"
        ) from error


def _decode(name: str, content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidMarketData(
            f"{name} is not text: expected {encoding}, {error.reason} at byte {error.start}",
            code="MALFORMED_FILE",
        ) from error


def split_line(line: str, separator: str) -> list[str]:
    """Return the fields of one line; quotes are honoured."""
    return next(csv.reader([line], delimiter=separator), [])


def split_lines(
    lines: list[str], separator: str, n_columns: int
) -> tuple[list[pa.Array], NDArray[np.bool_]]:
    """Return the columns of the lines that have `n_columns` fields, and which lines those are.

    Returns
    -------
    columns : list of pyarrow string arrays
        One a column, each as long as there are well-formed lines.
    well_formed : ndarray of bool, (n_lines,)
    """
    if any('"' in line for line in lines):
        fields = [split_line(line, separator) for line in lines]
        well_formed = np.array([len(row) == n_columns for row in fields], dtype=np.bool_)
        good = [row for row in fields if len(row) == n_columns]
        return [pa.array([row[i] for row in good], pa.string()) for i in range(n_columns)], (
            well_formed
        )
    wanted = n_columns - 1
    well_formed = np.array(
        [line.count(separator) == wanted and line != "" and "\r" not in line for line in lines],
        dtype=np.bool_,
    )  # Arrow ends a line at a carriage return
    if not well_formed.any():
        return [pa.array([], pa.string())] * n_columns, well_formed
    kept = lines if well_formed.all() else [lines[i] for i in np.flatnonzero(well_formed)]
    names = [str(i) for i in range(n_columns)]
    table = arrow_csv.read_csv(
        io.BytesIO("\n".join(kept).encode()),
        arrow_csv.ReadOptions(column_names=names, use_threads=False),
        arrow_csv.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    return [table[name].combine_chunks() for name in names], well_formed


def to_floats(column: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the numbers of a column of text, and where the text is not one.

    Returns
    -------
    values : ndarray of float64, (n,)
        NaN where the text is empty or not a number.
    unreadable : ndarray of bool, (n,)
        True where there is text that is not a number; ``nan`` is readable, and NaN.
    """
    try:
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return values, np.zeros(len(values), dtype=np.bool_)
    except pa.ArrowInvalid:
        pairs = [_to_float(text) for text in column.to_pylist()]
        return (
            np.array([value for value, _ in pairs], dtype=np.float64),
            np.array([bad for _, bad in pairs], dtype=np.bool_),
        )


def _to_float(text: str) -> tuple[float, bool]:
    if not text.strip():
        return float("nan"), False
    if "_" in text:  # Python reads 1_000 as a number; no data file means that
        return float("nan"), True
    try:
        return float(text), False
    except ValueError:
        return float("nan"), True


def to_wall_ns(column: pa.Array, written: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the wall-clock times of a column of text, and where the text is not one.

    Arrow's `strptime` is thirty times faster than pandas' and takes 30 February for 2 March; so a
    time counts only if it is written back as it was read, and the others go to pandas.

    Parameters
    ----------
    column
        Times as text, (n,).
    written
        How they are written, in `strptime`'s words.

    Returns
    -------
    wall_ns : ndarray of int64, (n,)
        Nanoseconds since 1970-01-01 00:00 on that clock, 0 where unreadable.
    unreadable : ndarray of bool, (n,)
    """
    read = pc.strptime(column, format=written, unit="s", error_is_null=True)
    same = pc.equal(pc.strftime(read, format=written), column)
    trusted = pc.coalesce(same, pa.scalar(value=False)).to_numpy(zero_copy_only=False)
    seconds = pc.fill_null(read.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    wall_ns = np.where(trusted, seconds, 0).astype(np.int64) * NANOSECONDS_PER_SECOND
    unreadable = np.zeros(len(wall_ns), dtype=np.bool_)
    doubtful = np.flatnonzero(~trusted)
    if len(doubtful):
        texts = column.take(pa.array(doubtful)).to_pylist()
        again = pd.to_datetime(texts, format=written, errors="coerce").as_unit("ns")
        unreadable[doubtful] = again.isna()
        wall_ns[doubtful] = np.where(again.isna(), 0, again.asi8)
    return wall_ns, unreadable

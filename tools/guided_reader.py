# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The process that fuzzes one kind of file by coverage; `fuzz_readers.py --guided` starts it.

It says what it does in lines of JSON after TOLD on its standard error, among what atheris and
libraries in C write there. The file that is being read is `work/<name>` of its folder, so that it
is there still when the process has been killed by it.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import types
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from reader_judge import settle_in
from reader_survey import Survey, as_dictionary, survey_of

TOLD = 'av_perception fuzz: '
# Beside our package: what parses in Python.
INSTRUMENTED = ('av_perception', 'yaml', 'rosbags', 'soundfile')
STANDARD = ('zipfile', 'configparser', 'csv', 'json')
GUARD = 3 << 30  # bytes beyond the allowed ones at which an allocation fails
MIN_LENGTH = 4096  # bytes that a file may grow to, be the whole one ever so small
SHARE_OF_DAMAGE = 0.3  # of the files; the others are mutated by libFuzzer
SHARE_OF_MEMBERS = 0.7  # of archives; the others are damaged as a whole
# A fault in C is left to faulthandler, which names the line of Python.
LIBFUZZER = [f'-handle_{name}=0' for name in ('segv', 'bus', 'abrt', 'ill', 'fpe', 'xfsz')]
LIBFUZZER += ['-rss_limit_mb=0', '-malloc_limit_mb=0', '-timeout=600', '-reload=0']


def main() -> None:
    """Fuzz until the files or the seconds are used up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('module', help='which has ALL_READERS and, maybe, SEEDS')
    parser.add_argument('kind')
    parser.add_argument('folder', type=Path, help='for its work, corpus and findings')
    parser.add_argument('--files', type=int, required=True)
    parser.add_argument('--seconds', type=float, required=True, help='of processor time')
    parser.add_argument('--seed', type=int, required=True)
    parser.add_argument('--slow', type=float, required=True, help='s of processor time of a file')
    parser.add_argument('--memory', type=int, required=True, help='bytes for a file')
    parser.add_argument('--first', action='store_true', help='end with the first finding')
    options = parser.parse_args()
    faulthandler.enable()
    faulthandler.register(signal.SIGXCPU, chain=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work = options.folder / 'work'
    shutil.rmtree(work, ignore_errors=True)
    settle_in(work)
    packages = (*INSTRUMENTED, *STANDARD, options.module)
    with ProcessPoolExecutor(1, get_context('fork')) as pool:
        survey = pool.submit(survey_of, options.module, options.kind, work, packages).result()
    if survey.skipped:
        tell(skipped=survey.skipped)
        return
    import atheris

    for name in [name for name in sys.modules if name.split('.')[0] in STANDARD]:
        del sys.modules[name]  # to be imported again, with counters
    with atheris.instrument_imports(packages, survey.bystanders):
        fuzzed = GuidedReader(options, survey)
    arguments = [sys.argv[0], *LIBFUZZER, f'-seed={options.seed + 1}', *fuzzed.arguments()]
    atheris.Setup(arguments, fuzzed.take, custom_mutator=fuzzed.mutate)
    atheris.Fuzz()


def tell(**what) -> None:
    """Send the parent a line."""
    os.write(2, f'\n{TOLD}{json.dumps(what)}\n'.encode())


class GuidedReader:
    """A reader to which atheris gives bytes, with its folder and what is left to do."""

    def __init__(self, options: argparse.Namespace, survey: Survey):
        from archive_mutation import with_changed_member
        from byte_mutations import mutated
        from reader_judge import ReaderJudge, warm_up

        self._mutated = mutated
        self._with_changed_member = with_changed_member
        self._options = options
        self._survey = survey
        work = options.folder / 'work'
        self._findings = options.folder / 'findings'
        self._corpus = options.folder / 'corpus'
        for folder in (self._findings, self._corpus):
            folder.mkdir(exist_ok=True)
        readers = importlib.import_module(options.module).ALL_READERS
        file_name, _, self._read = readers[options.kind]
        self._path = work / file_name
        warm_up(self._read, self._path)
        _instrument_numpy()
        self._judge = ReaderJudge(work, options.slow, options.memory)
        self._known: set[str] = set()
        self._count = 0
        self._told_s = 0.0
        _limit_memory(options.memory + GUARD)
        self._start_s = time.process_time()

    def arguments(self) -> list[str]:
        """Give libFuzzer its corpus, the longest file and the words of the reader."""
        for content in self._survey.whole:
            (self._corpus / hashlib.sha1(content).hexdigest()).write_bytes(content)
        longest = max(path.stat().st_size for path in self._corpus.iterdir())
        words = self._options.folder / 'words'
        words.write_text(as_dictionary(self._survey.words))
        most = max(2 * longest, MIN_LENGTH)
        return [f'-max_len={most}', f'-dict={words}', str(self._corpus)]

    def mutate(self, content: bytes, most: int, seed: int) -> bytes:
        """Make another file: damaged as files are, or mutated by what libFuzzer has seen."""
        import atheris
        import numpy as np

        random = np.random.default_rng(seed)

        def change(piece: bytes) -> bytes:
            if piece and random.random() < SHARE_OF_DAMAGE:
                return self._mutated(random, piece)[:most]
            return atheris.Mutate(piece, max(most, len(piece)))

        changed = None
        if content.startswith(b'PK') and random.random() < SHARE_OF_MEMBERS:
            changed = self._with_changed_member(random, content, change)
        return (changed or change(content))[:most]

    def take(self, content: bytes) -> None:
        """Read one file, and keep it when something came out that should not."""
        self._path.write_bytes(content)
        used_s = time.process_time()
        guard_s = int(used_s + 2 * self._options.slow) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (guard_s, resource.RLIM_INFINITY))
        finding = self._judge.judge(self._read, self._path)
        self._count += 1
        if finding and finding.key not in self._known:
            self._known.add(finding.key)
            digest = hashlib.sha1(finding.key.encode()).hexdigest()[:8]
            kept = self._findings / f'{digest}_{self._path.name}'
            kept.write_bytes(content)
            tell(finding=finding.text, kept=str(kept), key=finding.key)
        used_s = time.process_time() - self._start_s
        is_over = used_s >= self._options.seconds or self._count >= self._options.files
        is_over |= self._options.first and bool(self._known)
        if is_over or used_s > self._told_s + 1.0:
            self._told_s = used_s
            tell(files=self._count, seconds=used_s)
        if is_over:  # atheris would go on, and tell an exception as a finding
            tell(end=True)
            os._exit(0)


def _instrument_numpy() -> None:
    """Count branches in NumPy's parser of headers; all of NumPy would slow the rest down."""
    import atheris
    import numpy as np

    module = np.lib.format.read_magic.__globals__
    for function in list(module.values()):
        if isinstance(function, types.FunctionType) and function.__globals__ is module:
            atheris.instrument_func(function)


def _limit_memory(allowance: int) -> None:
    """Let allocations fail far beyond what is allowed, rather than the whole machine."""
    virtual = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + allowance, resource.RLIM_INFINITY))


if __name__ == '__main__':
    ROOT = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(ROOT), str(ROOT / 'test' / 'fixtures')]
    main()

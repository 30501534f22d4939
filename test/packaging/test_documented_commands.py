# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the docs tell people to type exists: verbs, options, launch arguments, parameters, files.

Each verb and benchmark that a page names is also run by a test, or stands below with the reason
why none runs it.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re

import pytest
from documented_commands import PAGES, ROOT, Command, documented_commands

from av_perception import __version__
from av_perception.cli.main import VERBS, _join_verb, build_parser
from av_perception.robot_head import load_head
from av_perception.ros.bringup.graph import ARGUMENTS, CHOICES, SELECTION, TOPICS
from av_perception.simulation import load_scene

COMMANDS = documented_commands()
OURS = [c for c in COMMANDS if c.words[0] == 'av-perception']
PLACEHOLDERS = {'...', '…', 'N', 'M', 'S', 'DEG', 'NAME'}
# Programs of others: nothing of ours can be wrong about them but the files they are given.
OTHERS = {
    'git': 'needs the address of the repository',
    'rosdep': 'needs a ROS distribution; its keys are looked up by hand',
    'colcon': 'run by test_colcon_build.py with the wheels',
    'pip': 'what it installs is resolved by test_robot_packages.py',
    'arecord': 'needs a sound card',
    '.': 'sources an environment',
    'cd': 'no command of ours',
    'for': 'a loop of the shell',
    'done': 'its end',
    'sudo': 'what it runs needs root; test_two_machines.py runs it where it may',
    'ufw': 'needs a firewall',
    'dask': 'test_cluster.py starts a scheduler and workers',
    'export': 'sets an environment',
}
# Verbs of pages that no test runs to the end, and why.
NOT_RUN = {
    'benchmark end-to-end': 'minutes of a live graph; test_end_to_end.py judges made-up results',
    'benchmark box-errors': 'minutes of images; test_box_errors.py runs its core',
    'benchmark face-search': 'minutes of video; test_face_search_benchmark.py runs its core',
    'benchmark lips': 'minutes of video; test/lips and test_lips.py run what it measures',
    'benchmark microphone-calibration': 'test_clustering_benchmarks.py runs its core',
    'benchmark soak': 'an hour of simulated time; test_soak_benchmark.py runs two minutes of it',
    'benchmark modes': 'minutes of video; test_clustering_benchmarks.py runs its core',
    'train motion': 'minutes of PyTorch; test_hit_dvae.py trains on tiny clips',
}
LAUNCH_FILES = {path.name: path.read_text('utf-8') for path in (ROOT / 'launch').iterdir()}


def label(command: Command) -> str:
    return f'{command.page}: {" ".join(command.words)}'


def verb_of(words: list[str]) -> str:
    """One or two words: of what has sub-commands the second belongs to it."""
    if words and words[0] in ('benchmark', 'calibrate', 'train') and len(words) > 1:
        return ' '.join(words[:2])
    return words[0] if words else ''


def own_words(command: Command) -> list[str]:
    words = list(command.words[1:])
    if '--ros-args' in words:
        words = words[: words.index('--ros-args')]
    return _join_verb(words)


def parser_of(words: list[str]) -> argparse.ArgumentParser:
    """The parser of the verb that the words begin with, or of its sub-command."""
    parser = build_parser(words[0])
    for word in words[:2]:
        subs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if not subs:
            break
        assert word in subs[0].choices, f'{word!r} is none of {sorted(subs[0].choices)}'
        parser = subs[0].choices[word]
    return parser


def test_there_are_commands_to_look_at():
    assert len(OURS) > 150 and len(COMMANDS) > 200
    assert {c.page for c in OURS} >= {
        'README.md',
        'docs/hearing.md',
        'docs/tutorials/respeaker.md',
    }


def fault_of(command: Command) -> str:
    """What a command of ours gets wrong about verbs, options or values; '' where nothing."""
    words = own_words(command)
    if not words or words[0].startswith('-') or words[0] in PLACEHOLDERS | {'VERB'}:
        return ''
    if words[0] not in VERBS:
        return f'there is no verb {words[0]}'
    if verb_of(words).split()[-1] in PLACEHOLDERS:
        return ''
    known = parser_of(words)._option_string_actions
    options = {w.split('=')[0] for w in words if re.match(r'--?[a-z]', w)}
    if options - set(known):
        return f'there is no {sorted(options - set(known))}'
    return refusal(words) if command.is_whole and not PLACEHOLDERS & set(words) else ''


def refusal(words: list[str]) -> str:
    """What the command says of a line that it does not understand; '' for one that it does."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            build_parser(words[0]).parse_args(words)
        except SystemExit as end:
            return said.getvalue() if end.code else ''
    return ''


@pytest.mark.parametrize('page', sorted({c.page for c in OURS}))
def test_commands_are_understood(page):
    faults = {label(c): fault_of(c) for c in OURS if c.page == page}
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    'line, fault',
    [
        ('track here --plot a.png', ''),
        ('trak here', 'no verb trak'),
        ('track here --picture a.png', "no ['--picture']"),
        ('track here --mode both', 'invalid choice'),
        ('benchmark no-such', "'no-such' is none of"),
        ('simulate short', 'required: -o'),
    ],
)
def test_a_stale_command_would_be_noticed(line, fault):
    words = ('av-perception', *line.split())
    try:
        found = fault_of(Command('a page', words, True))
    except AssertionError as error:
        found = str(error)
    assert fault in found and bool(found) == bool(fault)


def test_every_verb_that_a_page_names_is_run_by_a_test_or_listed_with_the_reason():
    # Those that only refuse what verbs are given run none of them.
    refusing = ('test_documented_commands.py', 'test_output.py', 'test_argument_errors.py')
    tests = [p for p in (ROOT / 'test').rglob('*.py') if p.name not in refusing]
    text = '\n'.join(p.read_text('utf-8') for p in tests)
    named = {verb_of(own_words(c)) for c in OURS}
    named = {v for v in named if v and not v.startswith('-') and not set(v.split()) & PLACEHOLDERS}
    assert len(named) > 30

    def is_run(verb: str) -> bool:
        return bool(re.search(r"'" + r"',\s*'".join(map(re.escape, verb.split())) + "'", text))

    assert sorted(v for v in named if not is_run(v) and v not in NOT_RUN) == []
    assert sorted(v for v in NOT_RUN if v not in named) == [], 'no page names it any more'
    files = {p.name for p in tests}
    reasons = ' '.join(NOT_RUN.values())
    assert set(re.findall(r'test_\w+\.py', reasons)) <= files


def launch_arguments(command: Command) -> set[str]:
    return {w.split(':=')[0] for w in command.words if re.match(r'[a-z_]+:=', w)}


def test_launch_files_and_their_arguments_exist():
    known = {*ARGUMENTS, *CHOICES, *SELECTION, *(f'{topic}_topic' for topic in TOPICS), *TOPICS}
    for command in COMMANDS:
        if command.words[:3] != ('ros2', 'launch', 'av_perception'):
            continue
        assert command.words[3] in LAUNCH_FILES, label(command)
        declared = set(re.findall(r"'([a-z_]+)'", LAUNCH_FILES[command.words[3]]))
        declared |= set(re.findall(r"'([a-z_]+)'", LAUNCH_FILES['head.launch.py']))
        assert not launch_arguments(command) - known - declared, label(command)


def test_parameters_that_are_set_exist():
    table = (ROOT / 'docs' / 'parameters.md').read_text('utf-8')
    for command in COMMANDS:
        if command.words[:3] == ('ros2', 'param', 'set'):
            node, name = command.words[3].strip('/'), command.words[4]
            section = table.split(f'## {node}\n')[-1].split('\n## ')[0]
            assert f'`{name}`' in section, label(command)


def test_goals_of_make_and_scripts_exist():
    goals = set(re.findall(r'^([a-z]+):', (ROOT / 'Makefile').read_text('utf-8'), re.MULTILINE))
    for command in COMMANDS:
        first = command.words[0]
        if first == 'make' and len(command.words) > 1:
            assert command.words[1] in goals, label(command)
        if first.startswith('python') and command.words[1:2] != ('-m',):
            assert (ROOT / command.words[1]).is_file(), label(command)


def test_programs_of_others_are_known():
    ours = {'av-perception', 'ros2', 'make', 'python', 'python3'}
    first = {c.words[0] for c in COMMANDS if c.is_whole}
    assert first - ours - set(OTHERS) == set()


# ---- figures


def pages_with_tables_of_figures() -> list[str]:
    """Pages in which a table has a row of three numbers or more."""
    row = re.compile(r'^\|(?:[^|\n]*\d[^|\n]*\|){3,}', re.MULTILINE)
    return [p.relative_to(ROOT).as_posix() for p in PAGES if row.search(p.read_text('utf-8'))]


WITHOUT_COMMAND = {
    'docs/parameters.md': 'defaults and ranges, by tools/parameter_table.py',
    'docs/tracker_equations.md': 'equations',
    'docs/robots.md': 'versions of packages',
}


@pytest.mark.parametrize('page', pages_with_tables_of_figures())
def test_a_page_with_figures_names_the_command_that_makes_them(page):
    if page in WITHOUT_COMMAND:
        return
    commands = {verb_of(own_words(c)).split()[0] for c in OURS if c.page == page and own_words(c)}
    text = (ROOT / page).read_text('utf-8')
    assert commands & {'benchmark', 'demo', 'sample'} or '`make demo`' in text


def readme_figures() -> list[tuple[str, str]]:
    """(cell of figures, page that its row names) of the front page."""
    table = (ROOT / 'README.md').read_text('utf-8').split('## How good it is')[1].split('## ')[0]
    rows = [line.split('|')[1:-1] for line in table.splitlines() if line.startswith('| ')]
    links = [(row[1], re.search(r'\]\(([^)]+)\)', row[-1])) for row in rows]
    return [(cell, link[1]) for cell, link in links if link]


@pytest.mark.parametrize('cell, page', readme_figures(), ids=lambda text: text.strip()[:40])
def test_figures_of_the_front_page_are_those_of_their_page(cell, page):
    text = (ROOT / page).read_text('utf-8')
    numbers = re.findall(r'(?<![\w.])\d+(?:\.\d+)?', cell)
    assert (
        numbers
        and [n for n in numbers if not re.search(rf'(?<![\d.]){re.escape(n)}(?!\d)', text)] == []
    )


# ---- examples in other languages


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text('utf-8')
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.DOTALL | re.MULTILINE)


def python_examples() -> list[tuple[str, str]]:
    names = [page.relative_to(ROOT).as_posix() for page in PAGES]
    return [(name, block) for name in names for block in blocks(name, 'python')]


def absent_names(code: str) -> list[str]:
    """What an example imports of us and no file defines."""
    absent = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.ImportFrom) or not (node.module or '').startswith('av_perc'):
            continue
        if node.module.startswith('av_perception_msgs'):
            folder = ROOT / 'av_perception_msgs' / node.module.split('.')[1]
            absent += [a.name for a in node.names if not list(folder.glob(f'{a.name}.*'))]
            continue
        path = ROOT / node.module.replace('.', '/')
        file = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
        text = file.read_text('utf-8') if file.is_file() else ''
        absent += [a.name for a in node.names if not re.search(rf'\b{a.name}\b', text)]
    return absent


@pytest.mark.parametrize('page, code', python_examples(), ids=lambda text: text.split('\n')[0])
def test_python_examples_are_python_and_import_what_exists(page, code):
    assert absent_names(code) == []


def test_an_example_that_imports_what_is_gone_would_be_noticed():
    assert absent_names('from av_perception import track, nothing_such') == ['nothing_such']
    assert absent_names('from av_perception.no_such import one') == ['one']


def test_the_profile_and_the_scene_of_the_docs_are_accepted(tmp_path):
    """The template of docs/heads.md, and the scene of the tutorial with it."""
    (profile,) = (block for block in blocks('docs/heads.md', 'yaml') if 'coordinates' in block)
    (scene,) = (b for b in blocks('docs/tutorials/own_head.md', 'yaml') if 'talkers' in b)
    needs_files = ('  acoustic_map:',)  # of a calibration
    kept = [line for line in profile.splitlines() if not line.startswith(needs_files)]
    (tmp_path / 'my_head.yaml').write_text('\n'.join(kept))
    (tmp_path / 'scene.yaml').write_text(scene)
    assert load_head(str(tmp_path / 'my_head.yaml')).camera.baseline == 0.1
    loaded = load_scene(str(tmp_path / 'scene.yaml'))
    assert len(loaded.talkers) == 2 and loaded.duration == 9.0


def test_wheels_that_the_front_page_installs_have_the_version_and_extras_that_there_are():
    text = (ROOT / 'README.md').read_text('utf-8')
    wheels = re.findall(r'"av_perception-([\d.]+)-py3-none-any\.whl\[([a-z,]+)\]"', text)
    declared = (ROOT / 'setup.py').read_text('utf-8').split('extras_require={')[1]
    assert len(wheels) == 2 and {version for version, _ in wheels} == {__version__}
    for extra in {extra for _, extras in wheels for extra in extras.split(',')}:
        assert f"'{extra}': " in declared

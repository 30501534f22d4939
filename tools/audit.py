# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Say which of the installed packages have known vulnerabilities, by pip-audit (extra `dev`).

The exit status is 1 when some do. Where that cannot be known (no network, a mirror without
advisories, no pip-audit) one line says so, and the exit status is 0.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import urllib.request

SERVICE = 'https://pypi.org/pypi/pip/json'  # of a package that is always there
PATIENCE_S = 10.0
COMMAND = ('--local', '--skip-editable', '--progress-spinner', 'off', '--format', 'json')


def reason_to_skip(service: str = SERVICE) -> str:
    """Say why no audit can be made here; '' when it can."""
    if importlib.util.find_spec('pip_audit') is None:
        return "pip-audit is not installed: pip install 'av_perception[dev]'"
    try:
        with urllib.request.urlopen(service, timeout=PATIENCE_S) as answer:
            json.load(answer)
    except (OSError, ValueError) as error:
        return f'the service with the advisories cannot be reached ({error})'
    return ''


def verdict(report: dict) -> tuple[list[str], str]:
    """Read a report of pip-audit.

    Returns
    -------
    found
        A line for each vulnerability: package, version, its name, and the versions that mend it.
    summary
        How many packages were looked up; what could not be is counted too.
    """
    packages = report['dependencies']
    known = [package for package in packages if 'vulns' in package]
    found = []
    for package in known:
        for one in package['vulns']:
            mended = ', '.join(one.get('fix_versions', [])) or 'none yet'
            name = f'{package["name"]} {package["version"]}'
            found.append(f'{name}: {one["id"]}, mended in: {mended}')
    unknown = len(packages) - len(known)
    return found, f'{len(known)} packages looked up, {unknown} are not known to the service'


def main() -> int:
    """Audit this environment."""
    reason = reason_to_skip()
    if not reason:
        ran = subprocess.run(
            [sys.executable, '-m', 'pip_audit', *COMMAND], capture_output=True, text=True
        )
        try:
            report = json.loads(ran.stdout)
            found, summary = verdict(report)
        except (ValueError, KeyError, TypeError):
            lines = ran.stderr.strip().splitlines() or [f'exit status {ran.returncode}']
            reason = f'pip-audit failed ({lines[-1]})'
        else:
            if not any('vulns' in package for package in report['dependencies']):
                reason = 'the service knows none of the packages: a mirror without advisories?'
    if reason:
        print(f'audit: skipped: {reason}')
        return 0
    print('\n'.join([*found, f'audit: {len(found)} known vulnerabilities; {summary}']))
    return int(bool(found))


if __name__ == '__main__':
    sys.exit(main())

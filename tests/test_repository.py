"""What lies around the package: forms for issues, the Dockerfile."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FORMS = ('bug', 'no_gain')


@pytest.mark.parametrize('name', FORMS)
def test_a_form_asks_for_what_is_there(repo, name):
    form = yaml.safe_load((repo / f'.github/ISSUE_TEMPLATE/{name}.yml').read_text())
    assert form['name'] and form['description']
    ids = [part['id'] for part in form['body']]
    assert len(ids) == len(set(ids)) and all(part['attributes']['label'] for part in form['body'])
    for tool in re.findall(r'tools/\w+\.py', str(form)):
        assert (repo / tool).exists()
    assert name != 'no_gain' or 'tools/diagnose.py' in str(form['body'][0])


def test_the_dockerfile_is_in_order(repo):
    """There is no registry to build it from here: it is linted, and what it copies is there."""
    found = shutil.which('hadolint', path=Path(sys.executable).parent)
    if found is None:
        pytest.skip('hadolint is not installed')
    run = subprocess.run([found, 'docker/Dockerfile'], cwd=repo, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    text = (repo / 'docker/Dockerfile').read_text()
    assert 'requirements/default.txt' in text and (repo / 'requirements/default.txt').exists()
    assert re.search(r'^torch==', (repo / 'requirements/default.txt').read_text(), re.MULTILINE)

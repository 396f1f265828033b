"""What a report says of the commits and versions of its runs."""

from mmrazor_tat.benchmark.report.text import provenance

VERSIONS = dict(torch='2.13', mmengine='0.10', mmcv='2', mmseg='1.2', mmrazor='1', mmrazor_tat='0')
PACKAGES = 'torch 2.13, mmengine 0.10, mmcv 2, mmseg 1.2, mmrazor 1, mmrazor_tat 0'
A, B = 'a' * 40, 'b' * 40


def test_commits_are_said_where_they_are_known():
    assert provenance([]) == provenance([{}]) == ''
    bare = [dict(commit=None, versions=dict(torch='2', mmseg=None))]
    assert provenance(bare) == 'Made with torch 2.'
    records = [dict(commit=A, versions=VERSIONS), {}, dict(commit=A, versions=VERSIONS)]
    assert provenance(records) == f'Made with {PACKAGES}, commit aaaaaaaaaa.'
    records = [dict(commit=commit, versions=VERSIONS) for commit in (A, f'{B}+', A)]
    assert provenance(records) == (
        f'Made with {PACKAGES}. The runs had several commits, differences may come from these: '
        'aaaaaaaaaa (2 runs), bbbbbbbbbb+ (1 run). +: with changes that were not committed.'
    )


def test_several_versions_are_said():
    records = [dict(commit=None, versions=of) for of in (VERSIONS, {**VERSIONS, 'torch': '3'})]
    text = provenance(records)
    assert 'torch 2.13,' in text and ' or torch 3,' in text
    assert text.endswith('. The runs had several versions: differences may come from these.')

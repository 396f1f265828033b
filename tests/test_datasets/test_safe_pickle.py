"""Pickles of safe content: what is read, and what is refused."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from mmrazor_tat.datasets.safe_pickle import PickledCodeError, load_safe
from mmrazor_tat.utils.archives import DataError

FILE = Path('folder/file')


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_safe_content(protocol):
    plain = {b'a': [1, -2.5, 'text', b'\xff\x00', None, True], 'b': {(1, 2): 'x'}}
    assert load_safe(pickle.dumps(plain, protocol), FILE) == plain
    arrays = [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype='>i4').reshape(3, 2)),
        np.array([[0.5, np.inf]]),
        np.array([True, False]),
        np.zeros((0, 4), np.float16),
    ]
    found = load_safe(pickle.dumps([*arrays, np.int64(7), np.float32(0.25)], protocol), FILE)
    for one, other in zip(arrays, found):
        assert isinstance(other, np.ndarray) and other.dtype.name == one.dtype.name
        assert np.array_equal(one, other)
    assert found[-2:] == [7, 0.25]


def test_text_of_python_2_comes_as_bytes():
    assert load_safe(b'\x80\x02U\x02\xe9tq\x00.', FILE) == b'\xe9t'


@pytest.mark.parametrize(
    'value, asks',
    [
        (np.array([None]), 'an array of the type |O8'),
        (np.array(['a']), 'an array of the type <U1'),
        (np.zeros(1, [('a', 'u1')]), 'an array of the type |V1'),
        (OrderedDict(), 'collections.OrderedDict'),
        (print, 'builtins.print'),
        (np.load, 'numpy.load'),
    ],
)
def test_other_values_are_refused(value, asks):
    with pytest.raises(PickledCodeError) as caught:
        load_safe(pickle.dumps({'data': value}), FILE)
    assert str(caught.value) == (
        f'folder/file is refused: its pickle asks for {asks}, and only safe content (dicts, lists, '
        'numbers, text, bytes, numpy arrays) is read; nothing of it was run'
    )


@pytest.mark.parametrize('protocol', [2, 4])
def test_damage_is_one_kind_of_error(protocol):
    """Each byte changed once: the outcome is safe content or a DataError, never another error."""
    whole = pickle.dumps({'data': np.arange(8, dtype=np.uint8), 'l': [1, 2]}, protocol)
    outcomes = set()
    for position in range(len(whole)):
        for value in (0, 0x2E, 0x52, 0xFF):
            damaged = whole[:position] + bytes([value]) + whole[position + 1 :]
            try:
                outcomes.add(type(load_safe(damaged, FILE)))
            except DataError as error:
                assert str(error).startswith('folder/file ') and '\n' not in str(error)
                outcomes.add(DataError)
    assert {dict, DataError} <= outcomes

import pytest

from mmrazor_tat.models.loss_schedule import LossSchedule


@pytest.mark.parametrize(
    ('settings', 'factors'),
    [
        (dict(), {0: 1, 10**6: 1}),
        (dict(warmup=4), {0: 0.25, 1: 0.5, 3: 1, 4: 1}),
        (dict(decay=(10, 20)), {0: 1, 10: 1, 15: 0.5, 20: 0, 99: 0}),
        (dict(decay=(10, 20), decay_to=0.2), {10: 1, 15: 0.6, 20: 0.2, 99: 0.2}),
        (dict(decay=(10, 20), decay_by='cosine'), {10: 1, 12.5: 0.853553, 15: 0.5, 20: 0}),
        (dict(decay=(0, 4), decay_to=3.0), {0: 1, 2: 2, 4: 3}),
        (dict(stop=7), {6: 1, 7: 0, 8: 0}),
        (dict(warmup=2, decay=(2, 4), decay_to=0.5, stop=6), {0: 0.5, 2: 1, 3: 0.75, 5: 0.5, 6: 0}),
    ],
)
def test_factors(settings, factors):
    schedule = LossSchedule(**settings)
    assert {i: schedule.factor(i) for i in factors} == pytest.approx(factors, abs=1e-6)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(warmup=-1), 'warmup must be a number of iterations, got -1'),
        (dict(warmup=0.5), 'warmup must be'),
        (dict(decay=(5, 5)), r'decay must be \(begin, end\), .* got \(5, 5\)'),
        (dict(decay=10), 'decay must be'),
        (dict(warmup=20, decay=(10, 30)), 'warmup=20 <= begin'),
        (dict(decay=(0, 9), decay_to=-1), 'decay_to must be a number of at least 0, got -1'),
        (dict(decay=(0, 9), decay_by='step'), "decay_by must be 'linear' or 'cosine', got 'step'"),
        (dict(warmup=5, stop=5), 'stop must be an iteration after 5, got 5'),
        (dict(decay=(3, 9), stop=2), 'stop must be an iteration after 3, got 2'),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        LossSchedule(**settings)

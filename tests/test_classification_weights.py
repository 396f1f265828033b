"""The weights that the READMEs of the classification recipes give are those of the fragments."""

import inspect
import math
import re

import pytest
from classification_docs import (
    FILES,
    PAIRS,
    fragment,
    labels,
    losses,
    method,
    one_weight,
    readme,
    section,
)

from mmrazor_tat.models.losses import AFDLoss, CCLoss, ContrastiveDistillLoss


class TestMethods:
    @pytest.mark.parametrize('folder', ['afd', 'cc', 'crd', 'fsp', 'nst', 'pkt', 'sp'])
    def test_one(self, folder):
        assert section(folder, 'Weights').startswith(f'{one_weight(folder.replace("_", "-"))}: ')

    @pytest.mark.parametrize('folder', ['at', 'fitnet', 'ickd', 'review_kd'])
    def test_one_beside_segmentation(self, folder):
        text = section(folder, 'Classification')
        assert re.search(rf'\b[Ww]eight {re.escape(one_weight(folder.replace("_", "-")))}\b', text)

    def test_ickd_on_imagenet(self):
        """500 on a sum over C B^2, where ours is over C B, for 256 images a process."""
        assert losses('ickd', 'imagenet').loss_ickd.loss_weight == 500 / 256
        assert 'On ImageNet 500 / 256 = 1.95: ' in section('ickd', 'Classification')

    @pytest.mark.parametrize('name', ['afd', 'at', 'nst'])
    def test_those_of_four_stages_are_the_same(self, name):
        assert one_weight(name, 'vgg13') == one_weight(name)
        assert len(losses(name, 'vgg13')) == len(losses(name)) + (name != 'afd')

    def test_rkd(self):
        loss = losses('rkd').loss_rkd
        on_imagenet = losses('rkd-kl', 'imagenet').loss_rkd
        assert 'loss_weight' not in loss and 'loss_weight' not in on_imagenet
        text = section('rkd', 'Weights')
        opening = f'{loss.distance_weight:g} on the distances, {loss.angle_weight:g} on the angles'
        assert text.startswith(f'{opening}: ')
        weights = f'{on_imagenet.distance_weight:g} and {on_imagenet.angle_weight:g}'
        assert f'On ImageNet {weights}, from the sample config of [torchdistill]' in text

    @pytest.mark.parametrize('folder, title', [('kd', 'Classification'), ('sckd', 'Weights')])
    def test_with_a_temperature(self, folder, title):
        (here,), (there,) = losses(folder).values(), losses(folder, 'imagenet').values()
        text = section(folder, title)
        assert (
            rf'$\tau = {here.tau:g}$, {labels(folder):g} on the labels, '
            f'{here.loss_weight:g} on the teacher'
        ) in text
        there = rf'$\tau = {there.tau:g}$, {labels(folder, "imagenet"):g} and {there.loss_weight:g}'
        assert there in text

    @pytest.mark.parametrize('name', ['cc', 'rkd', 'tat'])
    def test_the_kl_beside_them_on_imagenet_is_kd_s(self, name):
        assert losses(f'{name}-kl', 'imagenet').loss_kl == losses('kd', 'imagenet').loss_kl
        assert labels(f'{name}-kl', 'imagenet') == labels('kd', 'imagenet')

    def test_cc_is_small(self):
        """The kernel of vectors without negative values, from a cosine of 0 to one of 1."""
        loss = CCLoss()
        text = section('cc', 'Parts')
        assert rf'$\gamma = {loss.gamma:g}$ and $P = {loss.order}$' in text
        terms = [(2 * loss.gamma) ** p / math.factorial(p) for p in range(loss.order + 1)]
        low, high = (math.exp(-2 * loss.gamma) * k for k in (terms[0], sum(terms)))
        bound = losses('cc').loss_cc.loss_weight * (high - low) ** 2
        text = section('cc', 'Weights')
        assert f'between {low:.3f} and {high:.3f}' in text
        assert 'below 0.0051' in text and 0.0050 < bound < 0.0051
        # torchdistill's: 0.003 D / B^2, and D is below B (high - low).
        assert 'below $0.0016 / B$' in text and 0.0015 < 0.003 * (high - low) < 0.0016
        assert losses('cc-kl', 'imagenet').loss_cc == losses('cc').loss_cc

    def test_crd(self):
        default = {
            name: value.default
            for name, value in inspect.signature(ContrastiveDistillLoss).parameters.items()
        }
        assert (
            f'{default["num_negatives"]} negatives, {default["dim"]} dimensions, temperature '
            f'{default["temperature"]} and momentum {default["momentum"]}'
        ) in section('crd', 'Weights')
        here, there = (losses('crd', on).loss_crd.num_samples for on in ('cifar100', 'imagenet'))
        text = section('crd', 'Parts')
        numbers = 2 * default['dim'] * 4  # bytes an image
        assert f'{here * numbers / 2**20:.0f} MiB for CIFAR-100' in text
        assert f'{there * numbers / 2**30:.2f} GiB for ImageNet' in text and f'{there:,}' in text

    def test_afd_and_review_kd(self):
        assert f'$d = {AFDLoss().dim}$' in section('afd', 'Parts')
        text = section('review_kd', 'Classification')
        for pair in ('cifar100', 'vgg13', 'imagenet'):
            assert method('review-kd', pair).distiller.connectors.fusion.mid_channel is None
            weight = one_weight('review-kd', pair)
            assert f'Weight {weight} for all; the fused maps have the width' in text

    def test_fsp_stops(self):
        """After 30 epochs of 50,000 images by 64, the last batch smaller; one pair cannot."""
        iterations = math.ceil(50000 / 64)
        schedule = fragment('fsp').method_hooks.loss_schedule.schedules.loss_fsp
        assert schedule == dict(stop=30 * iterations)
        assert f'after 30 x {iterations} iterations' in section('fsp', 'Parts')
        assert {name[len('fsp_') :] for name in FILES['fsp']} == set(PAIRS) - {
            'wrn-40-2_wrn-40-1_1xb64-240e_cifar100'
        }


class TestTaT:
    def test_the_table_of_keys(self):
        """Each leads somewhere in the recipe with all three terms, where the fragment sets it."""
        rows = dict(re.findall(r'^\| (.*?) \|.*\| `model\.(\S+)` \|$', readme('tat'), re.MULTILINE))
        found = {}
        for symbol, key in rows.items():
            value = method('tat-kl')
            for part in key.split('.'):
                value = value[part]
            found[symbol] = value
        assert found == {
            r'$\alpha$': 0.1,
            r'$\beta$': 0.9,
            r'$\epsilon$': 1.0,
            r'$\tau$': 4.0,
            r'$\gamma, \phi, \theta$': ('gamma', 'phi'),
            'kernel': 3,
        }

    @pytest.mark.parametrize(
        'name, pair, recipes',
        [
            ('tat', 'cifar100', 'tat_*_cifar100'),
            ('tat-kl', 'cifar100', 'tat-kl_*_cifar100'),
            ('tat', 'imagenet', 'tat_resnet34_resnet18_8xb256-100e_imagenet'),
            ('tat-kl', 'imagenet', 'tat-kl_resnet34_resnet18_8xb256-100e_imagenet'),
        ],
    )
    def test_the_weights(self, name, pair, recipes):
        found = losses(name, pair)
        loss, kl = found.loss_tat, found.get('loss_kl')
        beta, tau = (f'{kl.loss_weight:g} ', f'{kl.tau:g} ') if kl else ('', '')
        row = f'| `{recipes}` | {labels(name, pair):g} | {beta}| {loss.loss_weight:g} | {tau}| '
        assert row in readme('tat')
        assert loss.kernel_size == 3 and loss.projections == ('gamma', 'phi')
        assert loss.views == [dict(type='whole')] and loss.norm_cfg == dict(type='BN')

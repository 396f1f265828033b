"""Make, or check, the data root that mmseg's configs of VOC12aug and COCO-Stuff10K expect.

Nothing is downloaded: the official archives are unpacked and converted by mmseg's own converters.
"""

import argparse
from functools import partial

from mmrazor_tat.datasets.check import check_root
from mmrazor_tat.datasets.layouts import DataError
from mmrazor_tat.datasets.prepare import prepare_coco_stuff10k, prepare_voc12aug

ROOT = "the data_root of mmseg's config, e.g. {}; made if missing"
FOUND = 'looked for in ROOT and beside it by its official name'


def parse_args() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--check', action='store_true', help='check the root, change nothing')
    common.add_argument(
        '--subset',
        action='store_true',
        help='not the official archives: take the number of images as it is',
    )
    common.add_argument('--workers', type=int, metavar='N', help='default: one a core')

    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='DATASET')
    voc = kinds.add_parser('voc12aug', parents=[common], help='Pascal VOC 2012 with SBD')
    voc.add_argument('root', metavar='ROOT', help=ROOT.format('data/VOCdevkit/VOC2012'))
    voc.add_argument('--voc-archive', metavar='VOCtrainval_11-May-2012.tar', help=FOUND)
    voc.add_argument(
        '--sbd-archive', metavar='benchmark.tgz', help=f'or its unpacked folder; {FOUND}'
    )
    coco = kinds.add_parser('coco-stuff10k', parents=[common], help='COCO-Stuff 10K v1.1')
    coco.add_argument('root', metavar='ROOT', help=ROOT.format('data/coco_stuff10k'))
    coco.add_argument(
        '--archive', metavar='cocostuff-10k-v1.1.zip', help=f'or its unpacked folder; {FOUND}'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    how = dict(subset=args.subset, workers=args.workers, say=partial(print, flush=True))
    try:
        if args.check:
            report = check_root(args.kind, args.root, **how)
        elif args.kind == 'voc12aug':
            report = prepare_voc12aug(args.root, args.voc_archive, args.sbd_archive, **how)
        else:
            report = prepare_coco_stuff10k(args.root, args.archive, **how)
    except (DataError, ValueError, OSError) as error:
        raise SystemExit(f'prepare_data: {error}') from None
    except KeyboardInterrupt:
        raise SystemExit('prepare_data: interrupted; run the same command again') from None
    print(report)
    raise SystemExit(not report.ok)


if __name__ == '__main__':
    main()

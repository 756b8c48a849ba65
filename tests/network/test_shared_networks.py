"""Networks of the verification community, where they lie beside the project: read, and computed as onnxruntime does."""

from pathlib import Path

import pytest
from onnx_graphs import differences

from dtdsym.network.onnx.read import looks_like_onnx, read_onnx
from dtdsym.network.onnx.write import write_onnx

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "nets"
WIDTHS = {
    "ACASXU_experimental_v2a_1_1.onnx": (5, 50, 50, 50, 50, 50, 50, 5),
    "KJ_TinyTaxiNet.onnx": (128, 16, 8, 8, 2),
    "fc_2-2-3.onnx": (2, 2, 3),
}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared networks are not here")


@pytest.fixture(params=WIDTHS)
def name(request):
    return request.param


def test_it_computes_what_onnxruntime_does(name):
    data = (FOLDER / name).read_bytes()
    assert looks_like_onnx(data)
    assert read_onnx(data, FOLDER).widths == WIDTHS[name]
    for seed in range(20):
        difference, scale = differences(data, seed)
        assert difference <= 1e-5 * scale


def test_written_again_it_is_the_same_function(name):
    network = read_onnx((FOLDER / name).read_bytes(), FOLDER)
    again = read_onnx(write_onnx(network), None)
    assert again.sha256 == network.sha256
    assert again.parameters == network.parameters

"""KServe's v2 protocol, as its specification has it."""

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.conftest import in_base64, picture_file
from vedette import __version__

INFER = "/v2/models/first/infer"
PICTURE = in_base64(picture_file())
ONE = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [PICTURE]}


def test_metadata_and_health(client: TestClient) -> None:
    assert client.get("/v2").json() == {"name": "vedette", "version": __version__, "extensions": []}
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/second", "/v2/models/second/versions/1"):
        told = client.get(path).json()
        assert (told["name"], told["versions"]) == ("second", ["1"])
        assert told["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
        assert told["outputs"][0] == {"name": "boxes", "datatype": "FP32", "shape": [-1, 4]}
        assert client.get(path + "/ready").json() == {"name": "second", "version": "1", "ready": True}
    for path in ("/v2/models/third", "/v2/models/first/versions/2", "/v2/models/first/versions/2/ready"):
        assert client.get(path).status_code == 404


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output for output in answer.json()["outputs"]}


def test_two_encoded_pictures(client: TestClient) -> None:
    asked = {"id": "7", "inputs": [ONE | {"shape": [2], "data": [PICTURE, in_base64(picture_file(80, 20))]}]}
    answer = client.post("/v2/models/first/versions/1/infer", json=asked)
    told = answer.json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("first", "1", "7")
    found = outputs(answer)
    assert found["counts"] == {"name": "counts", "datatype": "INT64", "shape": [2], "data": [2, 2]}
    assert found["boxes"]["shape"] == [4, 4]
    assert found["boxes"]["data"] == [0, 0, 20, 10, 0, 0, 40, 10, 0, 0, 40, 10, 0, 0, 80, 10]
    assert found["scores"]["data"] == pytest.approx([0.9, 0.6] * 2)
    assert (found["labels"]["data"], found["names"]["data"]) == ([1, 0] * 2, ["dog", "cat"] * 2)


@pytest.mark.parametrize("nested", [False, True])
def test_pixels(client: TestClient, nested: bool) -> None:
    pixels = np.full((1, 20, 40, 3), 255)
    data = pixels.tolist() if nested else pixels.flatten().tolist()
    for shape in ([1, 20, 40, 3], [20, 40, 3]):
        tensor = {"name": "image", "shape": shape, "datatype": "UINT8", "data": data}
        assert outputs(client.post(INFER, json={"inputs": [tensor]}))["boxes"]["data"][:4] == [0, 0, 20, 10]


def test_a_score_and_outputs_are_chosen(client: TestClient) -> None:
    asked = {"inputs": [ONE], "parameters": {"score": 0.7, "other": 1}, "outputs": [{"name": "names"}]}
    answer = client.post(INFER, json=asked)
    assert "id" not in answer.json()
    assert outputs(answer) == {"names": {"name": "names", "datatype": "BYTES", "shape": [1], "data": ["dog"]}}


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        ({"inputs": []}, 400, "inputs: List should have at least 1 item"),
        ({"inputs": [ONE, ONE]}, 400, "inputs: List should have at most 1 item"),
        ({"inputs": [ONE | {"name": "x"}]}, 400, "inputs.0.name: Input should be 'image'"),
        ({"inputs": [ONE | {"datatype": "FP32"}]}, 400, "inputs.0.datatype: Input should be 'BYTES' or 'UINT8'"),
        ({"inputs": [ONE | {"shape": [2]}]}, 400, "image has shape [2] and 1 elements"),
        ({"inputs": [ONE | {"data": [7]}]}, 400, "image: BYTES are pictures' files in base64"),
        ({"inputs": [ONE | {"data": ["http://x/a.jpg"]}]}, 400, "addresses are not fetched"),
        ({"inputs": [ONE | {"data": ["AAAA"]}]}, 400, "not a picture in a format"),
        ({"inputs": [ONE | {"shape": [9], "data": ["AAAA"] * 9}]}, 413, "9 pictures are more than the 5"),
        ({"inputs": [ONE], "parameters": {"score": 7}}, 400, "parameters.score: Input should be less than"),
        ({"inputs": [ONE], "outputs": [{"name": "masks"}]}, 400, "outputs.0.name: Input should be 'boxes'"),
        *(
            ({"inputs": [{"name": "image", "datatype": "UINT8", "shape": shape, "data": data}]}, 400, why)
            for shape, data, why in (
                ([1, 1, 3], [0, 0], "image: UINT8 of shape [1, 1, 3] are 3 whole numbers from 0 to 255"),
                ([1, 1, 3], [0, 0, 256], "image: UINT8 of shape [1, 1, 3]"),
                ([1, 1, 3], [0, 0, -1], "image: UINT8"),
                ([1, 1, 3], [0, 0, 0.5], "image: UINT8"),
                ([1, 1, 3], [[0, 0], [0]], "image: UINT8"),
                ([1, 1, 3], ["a", "b", "c"], "image: UINT8"),
                ([1, 1, 3], [0, 0, 10**30], "image: UINT8"),
                ([1, 1, 4], [0] * 4, "image has shape [1, 1, 4]: UINT8 has [B, height, width, 3]"),
                ([3], [0] * 3, "image has shape [3]"),
                ([0, 1, 1, 3], [], "image has shape [0, 1, 1, 3]"),
                ([-1, -1, 3], [0] * 3, "image has shape [-1, -1, 3]"),
            )
        ),
    ],
)
def test_what_is_refused(client: TestClient, asked: dict[str, Any], status: int, why: str) -> None:
    answer = client.post(INFER, json=asked)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert answer.json()["error"].startswith(why)


def test_models_and_versions_that_there_are_not(client: TestClient) -> None:
    assert client.post("/v2/models/third/infer", json={"inputs": [ONE]}).status_code == 404
    assert client.post("/v2/models/first/versions/2/infer", json={"inputs": [ONE]}).status_code == 404

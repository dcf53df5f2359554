"""Every call of the service, and every way in which it refuses."""

import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from serve.conftest import Serving, in_base64, picture_file
from vedette.infer.detector import Detector
from vedette.serve.limits import Limits

QUARTER = {"box": [0.0, 0.0, 20.0, 10.0], "score": 0.9, "label": 1, "name": "dog"}
HALF = {"box": [0.0, 0.0, 40.0, 10.0], "score": 0.6, "label": 0, "name": "cat"}
PICTURE = picture_file()
FORM = "multipart/form-data; boundary=b"
PARTS = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 5001


def test_a_body_by_itself(client: TestClient) -> None:
    answer = client.post("/detect", content=PICTURE)
    assert answer.status_code == 200
    found = answer.json()
    assert found.pop("milliseconds") > 0
    assert found == {"model": "first", "width": 40, "height": 20, "detections": [QUARTER, HALF]}


def test_a_form_and_json_give_the_same(client: TestClient) -> None:
    for sent in (
        {"files": {"image": ("photo.jpg", PICTURE)}},
        {"files": {"whatever": ("x", PICTURE)}, "data": {"comment": "a field that is no file"}},
        {"json": {"image": in_base64(PICTURE)}},
        {"json": {"image": "data:image/jpeg;base64," + in_base64(PICTURE)}},
        {"content": PICTURE, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},  # as curl says
    ):
        answer = client.post("/detect", **sent)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        assert answer.json()["detections"] == [QUARTER, HALF]


def test_a_model_a_score_and_classes_are_chosen(client: TestClient) -> None:
    assert client.post("/detect?model=second", content=PICTURE).json()["model"] == "second"
    assert client.post("/detect?score=0.7", content=PICTURE).json()["detections"] == [QUARTER]
    assert client.post("/detect?classes=dog,%20cat", content=PICTURE).json()["detections"] == [QUARTER, HALF]
    assert client.post("/detect?classes=cat", content=PICTURE).json()["detections"] == [HALF]


@pytest.mark.parametrize("path", ["/detect", "/detect/batch"])
@pytest.mark.parametrize(("given", "hint"), [("dgo", "did you mean dog?"), ("horse", "it has cat, dog")])
def test_a_class_that_there_is_not_is_told(client: TestClient, path: str, given: str, hint: str) -> None:
    answer = client.post(f"{path}?classes=cat,{given}", files={"images": ("photo.jpg", PICTURE)})
    assert answer.status_code == 422
    assert answer.json()["error"] == f"classes: {given!r} is no class of this detector; {hint}"


def test_the_weights_own_scores_are_the_default(serving: Serving, detectors: dict[str, Detector]) -> None:
    detectors["first"].thresholds = (0.7, 0.95)
    detectors["second"].thresholds = (0.5, 0.95)
    client = serving()
    assert client.post("/detect", content=PICTURE).json()["detections"] == []
    assert client.post("/detect?model=second", content=PICTURE).json()["detections"] == [HALF]
    assert client.post("/detect?score=0.5", content=PICTURE).json()["detections"] == [QUARTER, HALF]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_formats(client: TestClient, kind: str) -> None:
    assert client.post("/detect", content=picture_file(kind=kind)).status_code == 200


def test_boxes_are_in_the_picture_as_its_exif_turns_it(client: TestClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = client.post("/detect", content=picture_file(40, 20, exif=exif)).json()
    assert (found["width"], found["height"]) == (20, 40)
    assert found["detections"][0]["box"] == [0, 0, 10, 20]


@pytest.mark.parametrize(
    ("accept", "picture"),
    [
        ("image/jpeg", True),
        ("image/jpeg, application/json;q=0.5", True),
        ("image/*", True),
        ("*/*", False),
        ("application/json", False),
        ("image/jpeg;q=0.2, application/json", False),
        ("image/jpeg;q=x", False),
        ("text/html", False),
    ],
)
def test_accept_chooses_json_or_a_picture(client: TestClient, accept: str, picture: bool) -> None:
    answer = client.post("/detect", content=PICTURE, headers={"Accept": accept})
    assert answer.headers["content-type"] == ("image/jpeg" if picture else "application/json")
    if picture:
        with Image.open(BytesIO(answer.content)) as drawn:
            assert (drawn.format, drawn.size) == ("JPEG", (40, 20))
            assert drawn.convert("RGB").getextrema()[0][1] > 100  # the green picture has boxes on it


def test_several_pictures_in_their_order_and_a_bad_one_in_its_place(client: TestClient) -> None:
    form = [("images", ("a.jpg", PICTURE)), ("images", ("b.jpg", b"none")), ("images", ("c.png", picture_file(80, 20)))]
    several = {"images": [in_base64(PICTURE), in_base64(b"none"), in_base64(picture_file(80, 20))]}
    for answer in (client.post("/detect/batch", files=form), client.post("/detect/batch", json=several)):
        assert answer.status_code == 200
        found = answer.json()
        assert found["model"] == "first"
        assert found["results"][0] == {"width": 40, "height": 20, "detections": [QUARTER, HALF]}
        assert found["results"][1]["error"].startswith("not a picture in a format that is read here: send JPEG")
        assert found["results"][2]["width"] == 80


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("/detect", {"content": b""}, 400, "an empty picture (0 bytes); send a whole file"),
    ("/detect", {"content": b"no picture"}, 400, "not a picture in a format that is read here: send JPEG, PNG"),
    ("/detect", {"content": PICTURE[:-20]}, 400, "the image: a truncated or damaged image"),
    ("/detect", {"content": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}, 400, "not a picture in a format"),
    ("/detect", {"json": {"image": "https://example.org/a.jpg"}}, 400, "addresses are not fetched: send the picture"),
    ("/detect", {"json": {"image": "file:///etc/passwd"}}, 400, "addresses are not fetched"),
    ("/detect", {"json": {"image": "%%%"}}, 400, "the picture is no base64"),
    ("/detect", {"json": {"image": "é"}}, 400, "the picture is no base64"),
    ("/detect", {"json": {"url": "x"}}, 400, "image: Field required"),
    ("/detect", {"json": {"image": "", "url": "x"}}, 400, "url: Extra inputs are not permitted"),
    ("/detect", {"json": []}, 400, "the body: Input should be an object"),
    ("/detect", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "the body: Invalid JSON"),
    ("/detect", {"content": b"[" * 99999, "headers": {"Content-Type": "application/json"}}, 400, "the body: Invalid"),
    (
        "/detect",
        {"content": PICTURE, "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "the form's Content-Type",
    ),
    ("/detect", {"content": b"--b\r\n", "headers": {"Content-Type": FORM}}, 400, "the form ends before its last"),
    (
        "/detect",
        {"content": b"x", "headers": {"Content-Type": FORM}},
        400,
        "the form cannot be read (Expected boundary",
    ),
    ("/detect", {"content": PARTS, "headers": {"Content-Type": FORM}}, 413, "a form of more than 5000 parts"),
    ("/detect", {"files": [("image", ("a", PICTURE))] * 2}, 400, "2 pictures in the form: send one here, several to"),
    ("/detect?model=frist", {"content": PICTURE}, 404, "no model frist; did you mean first?"),
    ("/detect?model=x", {"content": PICTURE}, 404, "no model x; there are first, second"),
    ("/detect?score=2", {"content": PICTURE}, 422, "score: Input should be less than or equal to 1"),
    ("/detect?score=0", {"content": PICTURE}, 422, "score: Input should be greater than or equal to 0.01"),
    ("/detect?score=nan", {"content": PICTURE}, 422, "score: Input should be"),
    ("/detect/batch", {"content": PICTURE}, 400, "several pictures come as multipart/form-data or application/json"),
    ("/detect/batch", {"json": {"images": []}}, 400, "images: List should have at least 1 item"),
    ("/detect/batch", {"json": {"images": ["AAAA"] * 9}}, 413, "9 pictures are more than the 5 that are taken"),
    ("/nothing", {"content": PICTURE}, 404, "Not Found"),
    ("/models", {"content": PICTURE}, 405, "Method Not Allowed"),
]


@pytest.mark.parametrize(("path", "sent", "status", "why"), REFUSED)
def test_what_is_refused_is_told_in_one_line(
    client: TestClient, path: str, sent: dict[str, Any], status: int, why: str
) -> None:
    answer = client.post(path, **sent)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert answer.json()["error"].startswith(why)
    assert "\n" not in answer.json()["error"]


def test_too_many_pixels_and_bytes(serving: Serving) -> None:
    client = serving(Limits(pixels=800, body=2000))
    assert client.post("/detect", content=picture_file(40, 20)).status_code == 200
    large = client.post("/detect", content=picture_file(41, 20))
    assert large.status_code == 413
    assert large.json()["error"] == "41 x 20 are more than 0.0008 million pixels; send the picture smaller"
    long = client.post("/detect", content=b"x" * 2001)
    assert (long.status_code, long.json()["error"][:20]) == (413, "more than 2000 bytes")
    streamed = client.post("/detect", content=iter([b"x" * 1500, b"x" * 1500]))  # without a length in its head
    assert streamed.status_code == 413


def test_a_key(serving: Serving) -> None:
    client = serving(key="secret")
    for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": "secret2"}, {"Authorization": "Basic secret"}):
        for answer in (
            client.post("/detect", content=PICTURE, headers=headers),
            client.get("/models", headers=headers),
        ):
            assert answer.status_code == 401
            assert answer.json() == {"error": "the API key is missing or wrong: send it as the header X-API-Key"}
    assert client.get("/metrics").status_code == client.get("/v2/models/first").status_code == 401
    for right in ({"X-API-Key": "secret"}, {"Authorization": "Bearer secret"}):
        assert client.post("/detect", content=PICTURE, headers=right).status_code == 200
        assert client.get("/models", headers=right).status_code == 200
    for path in ("/", "/page/main.js", "/health", "/ready", "/v2/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200


def test_models_and_health(client: TestClient) -> None:
    told = client.get("/models").json()
    assert [model["name"] for model in told["models"]] == ["first", "second"]
    assert told["models"][0]["classes"] == ["cat", "dog"]
    assert (told["models"][0]["input"]["size"], told["models"][0]["device"]) == (32, "cpu")
    assert told["limits"]["queue"] == 5
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready"}


def test_a_network_that_fails_is_not_ready_until_it_succeeds(
    client: TestClient, detectors: dict[str, Detector], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("no memory on the device")

    with monkeypatch.context() as patch:
        patch.setattr(detectors["first"], "look", broken)
        failed = client.post("/detect", content=PICTURE)
        assert failed.status_code == 500
        assert failed.json() == {"error": "a fault of the service (RuntimeError); its log says more"}
        assert client.get("/ready").json() == {"error": "first: RuntimeError: no memory on the device"}
        assert client.get("/ready").status_code == client.get("/v2/models/first/ready").status_code == 503
        assert client.get("/v2/models/second/ready").status_code == 200
        assert client.get("/health").status_code == 200
    assert client.post("/detect", content=PICTURE).status_code == 200
    assert client.get("/ready").status_code == 200


def test_metrics(client: TestClient) -> None:
    client.post("/detect", content=PICTURE)
    client.post("/detect", content=b"")
    client.get("/no/such/page")
    text = client.get("/metrics").text
    for line in (
        'vedette_requests_total{path="/detect",status="200"} 1.0',
        'vedette_requests_total{path="/detect",status="400"} 1.0',
        'vedette_pictures_total{model="first"} 1.0',
        'vedette_batch_pictures_count{model="first"} 1.0',
        'vedette_request_seconds_count{path="/detect"} 2.0',
        "vedette_pictures_inside 0.0",
    ):
        assert line in text.splitlines()
    assert "/no/such/page" not in text


def test_the_service_describes_itself(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert {"/detect", "/detect/batch", "/models", "/v2/models/{name}/infer"} <= described["paths"].keys()
    assert set(described["paths"]["/detect"]["post"]["responses"]) >= {"200", "400", "413", "429"}
    json.dumps(described, allow_nan=False)


def test_the_page_names_its_models_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<option>first</option><option>second</option>" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("main.js", "ask.js", "glass.js", "draw.js", "camera.js", "lines.js"):
        assert client.get(f"/page/{name}").headers["content-type"].startswith("text/javascript")
    assert client.get("/page/page.css").headers["content-type"].startswith("text/css")
    assert (
        client.get("/page/secret.py").status_code == client.get("/page/..%2Ftemplates%2Fbase.html").status_code == 404
    )

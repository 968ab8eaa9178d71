from towpath.app.hints import with_hints


def document(properties: dict) -> dict:
    return {"components": {"schemas": {"In": {"type": "object", "properties": properties}}}}


def hinted(properties: dict) -> dict:
    return with_hints(document(properties), paths=["/"])["components"]["schemas"]["In"]


def test_properties_and_paths_keep_their_order() -> None:
    assert hinted({"b": {}, "a": {}})["x-fal-order-properties"] == ["b", "a"]
    assert with_hints({}, paths=["/b", "/a"])["x-fal-order-paths"] == ["/b", "/a"]


def test_names_that_promise_a_file_get_its_field() -> None:
    text = {"type": "string"}
    shown = hinted(
        {
            "image_url": text,
            "mask_image_url": text,
            "video_url": {"anyOf": [text, {"type": "null"}]},
            "audio_url": {"type": "integer"},
            "file_url": {**text, "ui": {"field": "image"}},
            "url": text,
            "imageurl": text,
        }
    )["properties"]
    fields = {name: schema.get("ui", {}).get("field") for name, schema in shown.items()}
    assert fields == {
        "image_url": "image",
        "mask_image_url": "image",
        "video_url": "video",
        "audio_url": None,
        "file_url": "image",
        "url": None,
        "imageurl": None,
    }


def test_the_given_document_is_not_changed() -> None:
    given = document({"image_url": {"type": "string"}})
    with_hints(given, paths=[])
    assert given == document({"image_url": {"type": "string"}})

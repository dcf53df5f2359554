"""The web service: pictures in, boxes out, over HTTP. Needs the extra `serve`."""

"""Values in JSON, as the tests write and read them.

JSON has no bytes, so they stand as {"base64": "..."}; a map whose keys are no strings stands as
{"map": [[key, value], ...]}; an object as {"object": "its class"}. Numbers that JSON lacks stand as
{"float": "..."}, as Python's repr writes them.
"""

import base64
import math


def to_json(value, exact=False):
    """The value in JSON. If `exact`, every float stands as {"float": "..."}: not every reader of
    JSON gives back the same bits."""
    if isinstance(value, float) and (exact or not math.isfinite(value)):
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [to_json(v, exact) for v in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: to_json(v, exact) for key, v in value.items()}
        return {"map": [[to_json(k, exact), to_json(v, exact)] for k, v in value.items()]}
    return {"object": type(value).__name__}


def from_json(value, make_object=None):
    """The value of a JSON form; {"object": LABEL} is what `make_object(LABEL)` makes."""
    if isinstance(value, list):
        return [from_json(v, make_object) for v in value]
    if isinstance(value, dict):
        if list(value) == ["base64"]:
            return base64.b64decode(value["base64"])
        if list(value) == ["float"]:
            return float(value["float"])
        if list(value) == ["object"] and make_object:
            return make_object(value["object"])
        if list(value) == ["map"]:
            return {hashable(from_json(k, make_object)): from_json(v, make_object)
                    for k, v in value["map"]}
        return {key: from_json(v, make_object) for key, v in value.items()}
    return value


def hashable(key):
    """A key that is a tuple stands as a list in JSON."""
    return tuple(map(hashable, key)) if isinstance(key, list) else key

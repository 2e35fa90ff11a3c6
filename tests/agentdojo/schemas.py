"""The suites' schemas, with a bound for every value: a pin leaves nothing open."""

TEXT_MAX = 100_000
NUMBER_MAX = 1_000_000_000
ITEMS_MAX = 64


def bounded(schema):
    """The schema of a tool's arguments. What may be null may be left out instead."""
    properties = {
        name: _part(part, schema.get("$defs", {})) for name, part in schema.get("properties", {}).items()
    }
    required = [name for name in schema.get("required", []) if name in properties]
    whole = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**whole, "required": required} if required else whole


def _part(part, definitions):
    if "$ref" in part:
        return _part(definitions[part["$ref"].rsplit("/", 1)[1]], definitions)
    choices = [choice for choice in part.get("anyOf", []) if choice.get("type") != "null"]
    if choices:
        # Where a suite takes one of several kinds, its tasks give the first or a file's reference.
        return _part(choices[0], definitions)
    about = {"description": part["description"]} if "description" in part else {}
    if "enum" in part:
        return {"enum": part["enum"], **about}
    kind = part.get("type")
    if kind == "string":
        return {"type": kind, "maxLength": TEXT_MAX, **about}
    if kind in ("integer", "number"):
        return {"type": kind, "minimum": -NUMBER_MAX, "maximum": NUMBER_MAX, **about}
    if kind == "boolean":
        return {"type": kind, **about}
    if kind == "array":
        item = _part(part.get("items", {}), definitions)
        return {"type": kind, "maxItems": ITEMS_MAX, "items": item, **about}
    # An object that the suite describes no further: a file that is attached, by its id.
    file = {"type": {"enum": ["file"]}, "file_id": {"type": "string", "maxLength": 64}}
    return {"type": "object", "properties": file, "additionalProperties": False, **about}

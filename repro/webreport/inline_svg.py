"""A plot inside the page: its SVG with title and description, in the page's colours, without styles."""

from xml.etree import ElementTree

from repro.webreport.plots import GRID, INK, KINDS, MUTED, PAPER, Plot

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
IN_PAGE = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "none",
    **{colour: f"var(--{kind})" for kind, (colour, _) in KINDS.items()},
}
"""What the page, which is light or dark, has for a colour."""


def in_page(plot: Plot, svg: bytes) -> str:
    """Return a picture as an element of the page: with title and description, and the page's colours.

    The page's policy allows no style attributes, so that what stands in them becomes attributes of SVG.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(svg)
    names = {"title": plot.title, "desc": plot.description}
    for number, (tag, text) in enumerate(names.items()):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", id=f"plot-{plot.name}-{tag}")
        element.text = text
        root.insert(number, element)
    for parent in [root, *root.findall(f"{{{SVG}}}defs")]:
        for child in [*parent]:
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _set_attributes(element)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    label = " ".join(f"plot-{plot.name}-{tag}" for tag in names)
    root.attrib |= {"class": "plot", "role": "img", "aria-labelledby": label}
    return ElementTree.tostring(root, encoding="unicode")


def _set_attributes(element: "ElementTree.Element[str]") -> None:
    """Turn an element's style into attributes, in the page's colours; names of groups lead nowhere."""
    if element.tag == f"{{{SVG}}}g":
        element.attrib.pop("id", None)
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            element.set("font-size", value.split()[0])  # the family is the page's
        elif name:
            element.set(name, IN_PAGE.get(value, value))

"""The table, for people, for a page of text, and for programs."""
import json
import textwrap

from .figures import Figure, seconds

HEADS = ("#", "what", "measured", "ratio", "goal", "against", "met")


def measured(figure: Figure) -> str:
    if figure.measured is None:
        return "–"
    if figure.unit == "s":
        return seconds(figure.measured)
    number = f"{figure.measured:,.0f}" if figure.measured >= 1000 else f"{figure.measured:.3g}"
    return f"{number} {figure.unit}".strip()


def cells(figure: Figure) -> tuple[str, ...]:
    verdict = {True: "yes", False: "NO", None: ""}[figure.met]
    return (
        str(figure.row) if figure.row else "", figure.what, measured(figure),
        "" if figure.ratio is None else f"{figure.ratio:.2f}", figure.goal or "", figure.against or "", verdict)


def ordered(figures: list[Figure]) -> list[Figure]:
    """By row; what is there for orientation comes last."""
    return sorted(figures, key=lambda figure: figure.row or 99)


def text(figures: list[Figure]) -> str:
    lines = [HEADS, *(cells(figure) for figure in ordered(figures))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    notes = [f"{figure.row or '-':>2}  {figure.what}: {figure.note}" for figure in ordered(figures) if figure.note]
    return "\n".join(shown + ["", *notes])


def stages_text(stages: list[tuple[str, list[tuple[str, float]]]]) -> str:
    return "\n".join(
        f"{what}\n" + textwrap.indent("\n".join(f"{seconds(took):>10}  {name}" for name, took in run), "  ")
        for what, run in stages)


def markdown_table(heads: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, tuple("---" for _ in heads), *lines])


def markdown(
    figures: list[Figure], stages: list[tuple[str, list[tuple[str, float]]]], machine: dict[str, str], command: str
) -> str:
    """A part of BENCHMARKS.md."""
    parts = [
        f"### {machine['date']}, `{command}`",
        "\n".join(f"- {name}: {value}" for name, value in machine.items() if name != "date"),
        markdown_table((*HEADS, "spread"), [(*cells(figure), figure.note) for figure in ordered(figures)])]
    parts += [
        f"Stages of {what}:\n\n" + markdown_table(("stage", "took"), [(name, seconds(took)) for name, took in run])
        for what, run in stages]
    return "\n\n".join(parts) + "\n"


def document(figures: list[Figure], stages: list[tuple[str, list[tuple[str, float]]]], machine: dict[str, str]) -> str:
    return json.dumps(
        {"machine": machine, "figures": [figure.json() for figure in ordered(figures)],
         "stages": [{"what": what, "stages": [{"stage": name, "seconds": took} for name, took in run]}
                    for what, run in stages]},
        indent=2, ensure_ascii=False) + "\n"

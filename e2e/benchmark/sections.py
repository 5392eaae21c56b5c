"""One section of a Markdown file, replaced by what was measured since."""


def replace(path, section):
    """`section` begins with its heading ("## …"); it takes the place of the one of that heading, or comes last."""
    heading = section.splitlines()[0]
    before, found, rest = path.read_text().partition(heading + "\n")
    _, next_heading, after = rest.partition("\n## ") if found else ("", "", "")
    path.write_text(before.rstrip("\n") + "\n\n" + section.rstrip("\n") + "\n" + next_heading + after)

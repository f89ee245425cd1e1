"""`mibun hessian`: a table of second derivatives, and the gradient in its JSON."""

import json

import pytest

from mibun.cli import main


def told(capsys, *words):
    status = main(["hessian", *words])
    printed = capsys.readouterr()
    assert printed.err == ""
    return status, printed.out


def test_a_formula_with_names(capsys):
    status, text = told(capsys, "x**2 * y", "--at", "x=3,y=4")
    head, *rows = text.splitlines()
    assert status == 0
    assert head.startswith("Derivative of 4 elements, x.x, x.y, y.x, y.y, ")
    values = {row.split()[0]: float(row.split()[1]) for row in rows}
    assert values == pytest.approx({"x.x": 8.0, "x.y": 6.0, "y.x": 6.0, "y.y": 0.0}, abs=1e-9)


def test_json_has_the_gradient(capsys):
    status, text = told(capsys, "x10 * x2**2", "--at", "[3, 4]", "--json")
    found = json.loads(text)
    assert status == 0
    assert found["value"] == [pytest.approx([8.0, 6.0]), pytest.approx([6.0, 0.0], abs=1e-9)]
    assert found["gradient"]["value"] == pytest.approx([24.0, 9.0])


def test_the_order_of_a_formula_without_names_is_told(capsys):
    assert told(capsys, "x10 * x2**2", "--at", "[3, 4]")[1].splitlines()[-1] == "The order is x2, x10."


def test_a_doubtful_number_has_its_exit_status(capsys):
    status, text = told(capsys, "abs(x) * y", "--at", "x=0,y=2")
    assert status == 1
    assert "[x, y]: kink, along x: the slopes from the left (-2) and from the right (2) differ" in text
    assert "x.y  nan ± inf" in text


def test_a_fixed_step_is_refused(capsys):
    assert main(["hessian", "x*y", "--at", "[3, 4]", "--method", "central"]) == 2
    assert 'found by "adaptive" alone' in capsys.readouterr().err

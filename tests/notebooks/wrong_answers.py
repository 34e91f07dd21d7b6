"""Answers that learners give and that are not right yet, with what the check must say of them.

`WRONG[check] = [(code that replaces the stub, a fragment of the reason), …]`
"""

WRONG = {}

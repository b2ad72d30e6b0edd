"""How rough an image is, ``(problem, objective, weight) -> Objective``; a file is one by being here."""

"""Role, handler, result: the code behind each row of the catalog."""

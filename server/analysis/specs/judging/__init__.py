"""One exchange against a specification."""

"""How the documentation is built: `make docs`. It needs no network."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "xai-core"
author = "The xai-core authors"
project_copyright = author
html_title = project

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "generated",  # runs the examples and writes the tables, into _generated
    "signatures",  # reads docstrings and annotations as they are meant
]
exclude_patterns = ["_build", "_generated", "example-plugin"]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # a single backtick in a docstring is code
smartquotes_action = "D"  # dashes; quotes are as they are written
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_preprocess_types = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#a33b12",
        "color-brand-content": "#a33b12",
        "code-font-size": "0.77em",  # 95 characters to a line
        "font-stack": "system-ui, -apple-system, 'Segoe UI', sans-serif",
    },
    "dark_css_variables": {
        "color-brand-primary": "#f2a65a",
        "color-brand-content": "#f2a65a",
    },
}

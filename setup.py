"""The one thing that pyproject.toml cannot say: ``conf/`` is installed as the package ``instseg.conf``."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages("src"), "instseg.conf"],
    package_dir={"": "src", "instseg.conf": "conf"},
)

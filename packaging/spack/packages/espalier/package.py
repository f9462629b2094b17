import pathlib

from spack.package import *

try:
    from spack_repo.builtin.build_systems.cmake import CMakePackage
except ImportError:  # before Spack 1.0 it comes with spack.package
    pass


class Espalier(CMakePackage):
    """Prunes trained neural networks on a cluster: mutual information by MPI, repair by ScaLAPACK."""

    # The checkout that this recipe stands in; a site's mirror would put its address here.
    git = "file://" + str(pathlib.Path(__file__).resolve().parents[4])
    license("BSD-3-Clause")

    version("main", branch="main")

    variant("tests", default=False, description="Build the tests")

    depends_on("c", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi@3:")
    depends_on("scalapack")
    depends_on("openblas ~ilp64")
    depends_on("hdf5@1.10: +mpi ~cxx ~fortran")
    depends_on("libyaml")
    depends_on("jansson")
    depends_on("zlib-api")
    depends_on("xxhash")
    depends_on("pcre2")
    depends_on("utf8proc")
    depends_on("cmocka", when="+tests")

    def cmake_args(self):
        return [
            self.define_from_variant("BUILD_TESTING", "tests"),
            self.define("ESPALIER_BENCH", False),
            self.define("SCALAPACK_ROOT", self.spec["scalapack"].prefix),
            self.define("HDF5_ROOT", self.spec["hdf5"].prefix),
        ]

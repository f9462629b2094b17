-- Lmod module for an installation by: cmake --install build/release --prefix ROOT
help([[Espalier prunes trained neural networks on a cluster. See: man espalier]])
whatis("Name: espalier")
whatis("Description: information-based pruning of neural networks under MPI")

local root = os.getenv("ESPALIER_ROOT") or "/opt/espalier" -- where it was installed

depends_on("openmpi", "hdf5", "scalapack", "openblas") -- the ones it was built with
prepend_path("PATH", pathJoin(root, "bin"))
prepend_path("MANPATH", pathJoin(root, "share/man"))
prepend_path("CMAKE_PREFIX_PATH", root)
for _, lib in ipairs({ "lib", "lib64" }) do -- whichever the system has
  local folder = pathJoin(root, lib, "pkgconfig")
  if isDir(folder) then prepend_path("PKG_CONFIG_PATH", folder) end
end
setenv("OMP_NUM_THREADS", "1")

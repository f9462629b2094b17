foreach(name sweep sweep_conditional sweep_exchange)
  esp_mpi_test(sweep ${name})
endforeach()
esp_unit_test(sweep sweep_cost)

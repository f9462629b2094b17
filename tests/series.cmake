esp_unit_test(series points)

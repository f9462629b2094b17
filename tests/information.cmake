esp_unit_test(information planes)
esp_unit_test(information pack)
esp_unit_test(information joint)
esp_unit_test(information information)

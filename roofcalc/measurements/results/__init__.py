"""Result files of benchmark clients as measured points; one module for each family of formats."""

"""Reading the definitions in schemas/ and writing what is made from them."""

"""HTTP for pushes: requests and responses as records, and one libcurl engine that carries them out."""

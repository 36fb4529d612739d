"""PostgreSQL's own client library, as much of it as it takes to run statements without starting psql each time."""
import ctypes
import ctypes.util

from faultlib.chain import Skipped, Violation

CONNECTION_OK = 0
COMMAND_OK, TUPLES_OK = 1, 2


def load() -> ctypes.CDLL:
    name = ctypes.util.find_library("pq")
    if name is None:
        raise Skipped("libpq is missing (apt-get install libpq5)")
    library = ctypes.CDLL(name)
    for function in ("PQconnectdb", "PQexec"):
        getattr(library, function).restype = ctypes.c_void_p
    for function in ("PQerrorMessage", "PQgetvalue"):
        getattr(library, function).restype = ctypes.c_char_p
    library.PQconnectdb.argtypes = [ctypes.c_char_p]
    library.PQexec.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.PQgetvalue.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    for function in ("PQstatus", "PQerrorMessage", "PQfinish", "PQresultStatus", "PQntuples", "PQnfields", "PQclear"):
        getattr(library, function).argtypes = [ctypes.c_void_p]
    return library


class Connection:
    def __init__(self, settings: str):
        self.library = load()
        self.handle = self.library.PQconnectdb(settings.encode())
        if self.library.PQstatus(self.handle) != CONNECTION_OK:
            said = self.message()
            self.close()
            raise Violation(f"PostgreSQL: {said}")

    def message(self) -> str:
        return self.library.PQerrorMessage(self.handle).decode(errors="replace").strip()

    def close(self) -> None:
        if self.handle is not None:
            self.library.PQfinish(self.handle)
            self.handle = None

    def run(self, sql: str) -> list[tuple[str, ...]]:
        """Runs statements in one round; gives back the last one's rows, as text."""
        result = self.library.PQexec(self.handle, sql.encode())
        try:
            if self.library.PQresultStatus(result) not in (COMMAND_OK, TUPLES_OK):
                raise Violation(f"PostgreSQL: {self.message()}")
            fields = range(self.library.PQnfields(result))
            return [tuple(self.library.PQgetvalue(result, row, field).decode() for field in fields)
                    for row in range(self.library.PQntuples(result))]
        finally:
            self.library.PQclear(result)

    def value(self, sql: str) -> str:
        return self.run(sql)[0][0]

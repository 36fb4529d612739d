import WaybillDatabase

/// A package that cannot be used, or could not be written.
public enum PackageFault: Error, CustomStringConvertible {
    /// It is not what its manifest says. The same bytes are never tried again.
    case refused(String)
    /// The disk or the file system said no; waiting can help.
    case file(FileFault)
    /// zstd or SQLite failed in a way that the package is not to blame for.
    case failed(String)

    /// Waiting can help.
    public var isTransient: Bool {
        switch self {
        case .refused: false
        case .file, .failed: true
        }
    }

    public var description: String {
        switch self {
        case .refused(let reason): "the package was refused: \(reason)"
        case .file(let fault): "\(fault)"
        case .failed(let reason): reason
        }
    }
}

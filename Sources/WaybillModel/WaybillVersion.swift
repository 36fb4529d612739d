/// The version of the programs, as they show it and as agents tell it to their hub.
public enum WaybillVersion {
    public static let text = "0.1.0"
}

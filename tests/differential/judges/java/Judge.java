// A judge of the differential test: Jackson as it comes. judge.py says what the frames are, reading.rs what a reading is.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.OutputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

final class Judge {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final String[][] PATHS = {
        {"", "method"},
        {"", "id"},
        {"", "params", "name"},
        {"", "params", "uri"},
        {"", "params", "taskId"},
        {"", "params", "arguments"},
        {"", "params", "_meta"},
        {"", "params", "cursor"},
        {"", "params", "requestState"},
        {"", "params", "inputResponses"},
        {"", "params", "task"},
        {"", "params", "_meta", "io.modelcontextprotocol/protocolVersion"},
        {"", "params", "_meta", "io.modelcontextprotocol/clientCapabilities"},
        {"completion/complete", "params", "ref", "type"},
        {"completion/complete", "params", "ref", "name"},
        {"completion/complete", "params", "ref", "uri"},
        {"subscriptions/listen", "params", "notifications", "resourceSubscriptions"},
        {"subscriptions/listen", "params", "notifications", "taskIds"},
    };

    public static void main(String[] arguments) throws Exception {
        DataInputStream in = new DataInputStream(System.in);
        OutputStream out = new FileOutputStream(FileDescriptor.out);
        String version = "Jackson " + MAPPER.version() + ", Java " + System.getProperty("java.version");
        out.write(frame(version.getBytes(StandardCharsets.UTF_8)));
        while (true) {
            byte[] head = new byte[4];
            try {
                in.readFully(head);
            } catch (EOFException end) {
                return;
            }
            byte[] batch = new byte[length(head, 0)];
            in.readFully(batch);
            ByteArrayOutputStream answers = new ByteArrayOutputStream();
            for (int place = 0; place < batch.length; ) {
                int end = place + 4 + length(batch, place);
                byte[] text = Arrays.copyOfRange(batch, place + 5, end);
                answers.write(frame(answer(text, batch[place + 4] == 1)));
                place = end;
            }
            out.write(frame(answers.toByteArray()));
        }
    }

    private static int length(byte[] bytes, int place) {
        return ByteBuffer.wrap(bytes, place, 4).order(ByteOrder.LITTLE_ENDIAN).getInt();
    }

    private static byte[] frame(byte[] content) {
        ByteBuffer frame = ByteBuffer.allocate(4 + content.length).order(ByteOrder.LITTLE_ENDIAN);
        return frame.putInt(content.length).put(content).array();
    }

    private static byte[] answer(byte[] text, boolean wanted) {
        StringBuilder out = new StringBuilder();
        try {
            JsonNode document = MAPPER.readTree(text);
            out.append('+');
            if (wanted) {
                reading(document, out);
            }
        } catch (Exception | StackOverflowError error) {
            String reason = String.valueOf(error.getMessage());
            out.setLength(0);
            out.append('-').append(reason, 0, Math.min(reason.length(), 200));
        }
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static void reading(JsonNode document, StringBuilder out) {
        out.append(document.isArray() ? document.size() : document.isObject() ? 1 : 0);
        for (String[] path : PATHS) {
            JsonNode found = document;
            for (int index = 1; index < path.length; index++) {
                found = found.path(path[index]);
            }
            if (path[0].isEmpty() || path[0].equals(document.path("method").textValue())) {
                canonical(found, out);
            } else {
                out.append('!');
            }
        }
        canonical(document, out);
    }

    private static void canonical(JsonNode value, StringBuilder out) {
        switch (value.getNodeType()) {
            case MISSING -> out.append('!');
            case NULL -> out.append('n');
            case BOOLEAN -> out.append(value.booleanValue() ? 't' : 'f');
            case NUMBER -> number(value, out);
            case STRING -> text(value.textValue(), out);
            case ARRAY -> {
                out.append('[');
                value.forEach(item -> canonical(item, out));
                out.append(']');
            }
            default -> {
                List<String> names = new ArrayList<>();
                value.fieldNames().forEachRemaining(names::add);
                // By code points, as UTF-8 sorts; Java's own order is that of UTF-16.
                names.sort((first, second) -> Arrays.compare(
                    first.codePoints().toArray(), second.codePoints().toArray()));
                out.append('{');
                for (String name : names) {
                    text(name, out);
                    canonical(value.get(name), out);
                }
                out.append('}');
            }
        }
    }

    private static void number(JsonNode value, StringBuilder out) {
        double number = value.doubleValue();
        if (value.isIntegralNumber()) {
            BigInteger exact = value.bigIntegerValue();
            if (Double.isInfinite(number) || !new BigDecimal(number).toBigInteger().equals(exact)) {
                out.append('i').append(exact);
                return;
            }
        }
        out.append('#').append(HexFormat.of().toHexDigits(Double.doubleToRawLongBits(number)));
    }

    private static void text(String value, StringBuilder out) {
        out.append('"').append(value.getBytes(StandardCharsets.UTF_8).length).append(':').append(value);
    }
}

import com.eatthepath.pushy.apns.ApnsClient;
import com.eatthepath.pushy.apns.ApnsClientBuilder;
import com.eatthepath.pushy.apns.DeliveryPriority;
import com.eatthepath.pushy.apns.PushType;
import com.eatthepath.pushy.apns.auth.ApnsSigningKey;
import com.eatthepath.pushy.apns.util.SimpleApnsPayloadBuilder;
import com.eatthepath.pushy.apns.util.SimpleApnsPushNotification;
import com.sun.management.OperatingSystemMXBean;
import java.io.File;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.util.Arrays;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;

/** pushy: futures, with a semaphore to keep as many in flight as asked for. */
public final class Main {
    private final Map<String, String> job;
    private final ApnsClient client;
    private final Semaphore room;
    private final String alert;

    private Main(final Map<String, String> job) throws Exception {
        this.job = job;
        final URI sink = URI.create(job.get("url"));
        client = new ApnsClientBuilder()
            .setApnsServer(sink.getHost(), sink.getPort())
            .setTrustedServerCertificateChain(new File(job.get("ca_file")))
            .setSigningKey(ApnsSigningKey.loadFromPkcs8File(
                new File(job.get("key_file")), job.get("team_id"), job.get("key_id")))
            .setUseAlpn(true) // Apple needs none, nginx does
            .setConcurrentConnections(number("connections"))
            .build();
        room = new Semaphore(number("in_flight"));
        alert = "x".repeat(number("payload") - "{\"aps\":{\"alert\":\"\"}}".length());
    }

    private int number(final String name) {
        return Integer.parseInt(job.get(name));
    }

    private SimpleApnsPushNotification push(final int number, final int dead) {
        final boolean isDead = (long) number * dead % 100 < dead;
        return new SimpleApnsPushNotification(
            isDead ? String.format("dead%060x", number) : String.format("%064x", number),
            job.get("topic"),
            new SimpleApnsPayloadBuilder().setAlertBody(alert).build(),
            null,
            DeliveryPriority.IMMEDIATE,
            PushType.ALERT,
            null,
            new UUID(0x123e4567_e89b_42d3L, 0xa456_0000_0000_0000L | number));
    }

    /** Sends pushes from the first to before the second number; returns how many were accepted. */
    private long send(final int first, final int end) throws InterruptedException {
        final LongAdder accepted = new LongAdder();
        final int dead = number("dead");
        for (int n = first; n < end; n++) {
            room.acquire();
            client.sendNotification(push(n, dead)).whenComplete((response, failure) -> {
                if (failure != null) {
                    System.err.println(failure);
                } else if (response.isAccepted()) {
                    accepted.increment();
                }
                room.release();
            });
        }
        room.acquire(number("in_flight"));
        room.release(number("in_flight"));
        return accepted.sum();
    }

    public static void main(final String[] arguments) throws Exception {
        final Main main = new Main(Arrays.stream(arguments)
            .map(argument -> argument.split("=", 2))
            .collect(Collectors.toMap(parts -> parts[0], parts -> parts[1])));
        final int warmUp = main.number("warm_up");
        final int pushes = main.number("pushes");
        final var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        main.send(0, warmUp);
        final long cpu = system.getProcessCpuTime();
        final long started = System.nanoTime();
        final long accepted = main.send(warmUp, warmUp + pushes);
        final long ended = System.nanoTime();
        System.out.printf(
            "{\"pushes\": %d, \"ok\": %d, \"seconds\": %f, \"cpu_seconds\": %f}%n",
            pushes, accepted, (ended - started) / 1e9, (system.getProcessCpuTime() - cpu) / 1e9);
        main.client.close().get();
        System.exit(0);
    }
}

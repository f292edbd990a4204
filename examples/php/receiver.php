<?php
// Takes events of identwatch and keeps them for worker.php. It answers 204 once an event is on disk, and does nothing
// else: identwatch waits for 15 seconds at most.
declare(strict_types=1);

require __DIR__ . '/inbox.php';

const MAX_BODY = 9 << 20; // bytes: the longest event
const TOLERANCE = 300; // seconds

/** @return list<string> the keys of WEBHOOK_SECRETS, of which any may have signed */
function keys(): array
{
    $keys = [];
    foreach (explode(',', (string) getenv('WEBHOOK_SECRETS')) as $secret) {
        $key = base64_decode(preg_replace('/^whsec_/', '', trim($secret)), true);
        if ($key === false || strlen($key) < 24) {
            throw new RuntimeException('WEBHOOK_SECRETS holds no secret, or a bad one'); // an empty key would let everybody in
        }
        $keys[] = $key;
    }
    return $keys;
}

/** Says why a request is refused, or null if it is identwatch's. It quotes nothing of the request. */
function fault(string $id, string $timestamp, string $signatures, string $body): ?string
{
    foreach (['webhook-id' => $id, 'webhook-timestamp' => $timestamp, 'webhook-signature' => $signatures] as $name => $value) {
        if ($value === '') {
            return "$name is missing";
        }
    }
    if (!preg_match('/^[0-9]{1,11}$/D', $timestamp) || abs(time() - (int) $timestamp) > TOLERANCE) {
        return 'webhook-timestamp is too far from now: check the clock';
    }
    $matches = false;
    foreach (keys() as $key) {
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
        foreach (explode(' ', $signatures) as $signature) {
            $matches = hash_equals($expected, $signature) || $matches;
        }
    }
    return $matches ? null : 'no signature matches: compare WEBHOOK_SECRETS with that of identwatch';
}

/** Keeps an event and says whether it is new. */
function store(string $id, string $body): bool
{
    $insert = inbox()->prepare('INSERT INTO events (id, body, stored_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING');
    $insert->execute([$id, $body, time()]);
    return $insert->rowCount() === 1;
}

function answer(): int
{
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        header('Allow: POST');
        return 405;
    }
    $body = file_get_contents('php://input', false, null, 0, MAX_BODY + 1); // the bytes as they came: they are what is signed
    if ($body === false || strlen($body) > MAX_BODY) {
        return 413;
    }
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $fault = fault($id, $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body);
    if ($fault !== null) {
        error_log("refused: $fault");
        return 401;
    }
    if (store($id, $body)) {
        error_log("stored $id");
    }
    return 204;
}

ini_set('display_errors', '0');
try {
    http_response_code(answer());
} catch (Throwable $e) {
    // Not the exception itself: its trace can quote arguments, and so the person.
    error_log('cannot store an event: ' . $e->getMessage());
    http_response_code(500); // it is posted again
}

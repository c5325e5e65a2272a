import type { Script } from '../script.js';

export const german: readonly Script[] = [
  {
    about: 'work',
    lines: `
A: {Moin|Hallo|Guten Morgen} {B}, hast du kurz Zeit? Ich komme bei {sache} nicht weiter.
B: Klar, schieß los.
A: {problem}
B: Hast du schon {versuch}?
A: {Nein, gute Idee. Moment …|Noch nicht, probiere ich gleich.}
~ 20m
A: Das war's! {loesung} Danke dir!
B: Gern. {Schreib es bitte ins Wiki, ich habe dafür damals einen halben Tag gebraucht.|Kostet einen Kaffee. ☕}
A: {Steht schon drin.|Mach ich.} 👍
`,
    variants: [
      {
        sache: 'der Datenbankmigration',
        problem: 'Lokal läuft sie durch, auf Staging bricht sie nach 40 Sekunden ab.',
        versuch: 'auf Sperren geschaut? Nachts läuft dort der Export',
        loesung: 'Der Export hielt eine Sperre auf der Tabelle.',
      },
      {
        sache: 'der Reisekostenabrechnung',
        problem: 'Das Formular will eine Kostenstelle, und keine passt.',
        versuch: 'die 4100 probiert',
        loesung: 'Mit der 4100 geht es, steht nur nirgends.',
      },
      {
        sache: 'dem neuen Build',
        problem: 'Er dauert plötzlich 25 Minuten statt acht.',
        versuch: 'den Cache angesehen',
        loesung: 'Der Schlüssel des Caches enthielt das Datum, also war er jeden Tag leer.',
      },
      {
        sache: 'der Präsentation für Hamburg',
        problem: 'Ich habe 40 Folien für 20 Minuten.',
        versuch: 'alles gestrichen, was auch in der Doku steht',
        loesung: 'Jetzt sind es 16 Folien, und man versteht sie sogar.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Wann wollen wir {thema} besprechen? {Ich bräuchte etwa eine Stunde.|Eine halbe Stunde reicht mir.}
B: {day+1} um {uhr}?
A: Da habe ich Zahnarzt. {day+2}?
B: {day+2} passt, gleiche Uhrzeit. Ich lade ein. Was soll ich vorbereiten?
A: Nur {vorbereitung}, den Rest bringe ich mit.
B: Geht klar.
~ 2d
A: Ergebnis unseres Gesprächs, damit es nicht verloren geht: {ergebnis}
B: Stimmt so. Danke fürs Aufschreiben!
`,
    variants: [
      {
        thema: 'das Budget fürs nächste Jahr',
        uhr: '10:00',
        vorbereitung: 'die Zahlen bis Oktober',
        ergebnis:
          'wir beantragen 120.000 Euro, davon 30.000 für Hardware. Du schreibst die Begründung bis {date+6}, ich rede mit Zeynep.',
      },
      {
        thema: 'die Urlaubsvertretung',
        uhr: '14:30',
        vorbereitung: 'eine Liste der offenen Vorgänge',
        ergebnis:
          'vom 22.12. bis 2.1. übernimmst du die Bereitschaft, ich vom 3. bis 10.1. Freigaben macht in beiden Wochen James.',
      },
      {
        thema: 'die neue Startseite',
        uhr: '11:00',
        vorbereitung: 'die Rückmeldungen der Testkunden',
        ergebnis: 'Variante B mit dem kurzen Text. Der Film kommt weg, er lädt zu lange. Livegang am {date+7}.',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Der Kunde aus {ort} hat wieder angerufen. Er fragt, wann {frage}.
B: {antwort}
A: Kann ich ihm das so sagen?
B: Sag lieber „bis Ende {monat}“, dann freut er sich, wenn es früher kommt.
A: Einverstanden. Ich schreibe ihm heute noch und setze dich in Kopie.
~ 3h
A: Er ist zufrieden und fragt gleich nach einem zweiten Vertrag. 😄
B: {Na bitte!|Geht doch.} Dann bitte mit {bedingung}.
`,
    variants: [
      {
        ort: 'Stuttgart',
        frage: 'die Schnittstelle zur Warenwirtschaft fertig ist',
        antwort: 'Sie läuft im Test, uns fehlen noch die Retouren.',
        monat: 'Januar',
        bedingung: 'Laufzeit über zwei Jahre',
      },
      {
        ort: 'Linz',
        frage: 'er die Daten seiner Filialen getrennt auswerten kann',
        antwort: 'Die Auswertung gibt es, nur die Rechte dafür fehlen.',
        monat: 'Februar',
        bedingung: 'Schulung für seine Leute',
      },
      {
        ort: 'Bern',
        frage: 'die Rechnungen auch auf Französisch kommen',
        antwort: 'Die Übersetzung ist bei Chloé, sie braucht noch drei Tage.',
        monat: 'der Woche',
        bedingung: 'Zahlung im Voraus',
      },
    ],
  },
  {
    about: 'work',
    times: 3,
    lines: `
A: {Ich hole Kaffee, willst du auch einen?|Kaffee?}
B: {Immer.|Unbedingt.} {Mit Hafermilch bitte.|Schwarz, der Tag ist lang.}
A: {Kommt sofort.|Bin in fünf Minuten da.} ☕
`,
  },
  {
    about: 'friends',
    lines: `
A: Na, was macht {was}?
B: {lage}
A: Oje. Kann ich helfen?
B: {hilfe}
A: Samstag um zehn bin ich da. Soll ich etwas mitbringen?
B: {mit}
A: Gebongt. 💪
~ sat
B: Nochmal danke! {dank}
A: {Jederzeit.|Dafür sind Freunde da.} Aber beim nächsten Mal {witz}
`,
    variants: [
      {
        was: 'der Umzug',
        lage: 'Die Kisten sind gepackt, aber der Transporter ist geplatzt.',
        hilfe: 'Dein Bruder hat doch einen Anhänger, oder?',
        mit: 'Den Anhänger und gute Laune.',
        dank: 'Der Schrank steht, und er wackelt nur ein bisschen.',
        witz: 'ziehst du bitte ins Erdgeschoss.',
      },
      {
        was: 'dein Garten',
        lage: 'Die Schnecken haben gewonnen.',
        hilfe: 'Hochbeete! Aber allein bekomme ich die Bretter nicht zugeschnitten.',
        mit: 'Die Stichsäge, wenn du noch eine hast.',
        dank: 'Die Beete stehen, der erste Salat ist gesät.',
        witz: 'machst du den Kartoffelsalat ohne Gurke.',
      },
      {
        was: 'das alte Rad',
        lage: 'Die Kette springt, die Bremse quietscht und das Licht ist eine Legende.',
        hilfe: 'Hast du noch den Kettennieter?',
        mit: 'Den Nieter und alte Lappen.',
        dank: 'Es fährt wie neu, ich war heute in 18 Minuten im Büro!',
        witz: 'nehmen wir gleich ein neues.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Hast du Lust auf {plan} am Wochenende?
B: {Oh ja!|Sehr gern.} Samstag oder Sonntag?
A: {tag}, da soll das Wetter besser sein. Abfahrt {uhr}?
B: So früh? Für dich mache ich das. Nehmen wir den Zug?
A: Ja, {zug}. Hin und zurück {preis} Euro zu zweit.
B: Perfekt. Ich packe Brote ein, du die Thermoskanne.
A: Abgemacht! 🥾
~ sun
A?: Meine Füße! Aber was für ein {schoen}. 😍
B?: Das machen wir im Frühling nochmal.
`,
    variants: [
      {
        plan: 'eine Wanderung in der Sächsischen Schweiz',
        tag: 'Sonntag',
        uhr: '7:12',
        zug: 'der EC um 7:12 bis Bad Schandau',
        preis: '58',
        schoen: 'Blick von der Bastei',
      },
      {
        plan: 'einen Ausflug in den Spreewald',
        tag: 'Samstag',
        uhr: '8:30',
        zug: 'der RE2 bis Lübbenau',
        preis: '49',
        schoen: 'Nebel über den Fließen',
      },
      {
        plan: 'einen Tag an der Ostsee',
        tag: 'Samstag',
        uhr: '6:45',
        zug: 'der RE3 nach Stralsund',
        preis: '49',
        schoen: 'Sonnenuntergang am Strand',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Sag mal, {kennst du|weißt du} {suche}?
B: {tipp1}, aber da wartet man ewig. Besser: {tipp2}.
A: Und was kostet das ungefähr?
B: {preis}
A: Super, danke! Ich rufe gleich an.
~ 1h
A: Termin am {date+3}! Du bist die beste Auskunft der Stadt. 😄
B: {Sag, dass du von mir kommst.|Rechnung kommt per Post.} 😉
`,
    variants: [
      {
        suche: 'eine gute Fahrradwerkstatt in Neukölln',
        tipp1: 'Die an der Ecke beim Markt',
        tipp2: 'der kleine Laden am Kanal, mittwochs ist dort fast niemand',
        preis: 'Inspektion um die 60 Euro, Ersatzteile extra.',
      },
      {
        suche: 'einen Klavierstimmer, der auch am Wochenende kommt',
        tipp1: 'Herr Voss',
        tipp2: 'seine frühere Schülerin, sie macht es sogar besser',
        preis: 'Etwa 110 Euro mit Anfahrt.',
      },
      {
        suche: 'eine Tierärztin, die mit ängstlichen Katzen umgehen kann',
        tipp1: 'Die große Praxis am Park',
        tipp2: 'Frau Dr. Yildiz, sie kommt auch nach Hause',
        preis: 'Die Untersuchung hat bei mir 45 Euro gekostet.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Alles Gute zum Geburtstag, {von Herzen|aus dem verregneten Büro}! 🎂🎉
B: Danke dir!! Kommst du am Samstag zur Feier?
A: Natürlich. Ab wann, und was darf ich mitbringen?
B: Ab {uhr}. Wenn du magst, deinen {salat}.
A: Ist schon im Kühlschrank. 😎
~ sat
B: Schön, dass ihr alle da wart! Irgendwer hat {ding} vergessen.
A: Das ist meins. Ich hole es am Montag ab, versprochen.
`,
    variants: [
      { uhr: '19 Uhr', salat: 'Linsensalat', ding: 'einen grünen Schal' },
      { uhr: '20 Uhr', salat: 'Zwiebelkuchen', ding: 'eine einzelne Socke (?)' },
    ],
  },
  {
    about: 'circle',
    lines: `
A: Wer ist {day+1} beim {treffen} dabei?
B: Ich! {19 Uhr wie immer?|Wie immer um sieben?}
C: Ich komme später, gegen halb neun.
D?: Diesmal leider ohne mich, die Kinder sind krank. Trinkt eins für mich mit!
A: Gute Besserung! Dann reserviere ich für {zahl}.
~ 1d
C: Welcher Tisch?
A: {tisch}
C: Sehe euch. 👋
`,
    times: 3,
    variants: [
      { treffen: 'Stammtisch', zahl: 'vier', tisch: 'Ganz hinten links, unter dem Hirsch.' },
      { treffen: 'Kneipenquiz', zahl: 'fünf', tisch: 'Neben der Bühne. Wir heißen heute „Vier gewinnt“.' },
      { treffen: 'Spieleabend', zahl: 'vier', tisch: 'Oben, da wo die Regale mit den Spielen sind.' },
    ],
  },
  {
    about: 'circle',
    lines: `
A: Leute, wir müssen über {thema} reden.
B: Oh nein. Was ist passiert?
A: {vorfall}
C: Schuldig. Es tut mir leid, ich mache es heute noch weg.
D?: Letzte Woche war ich es, sage ich lieber gleich.
B: Vorschlag: {regel}
A: Einverstanden. *Beschluss:* {regel} Gilt ab {day+1}.
C: Klingt fair. 🧽
`,
    variants: [
      {
        thema: 'die Küche',
        vorfall: 'Im Kühlschrank lebt etwas in einer blauen Dose, und es hat Haare.',
        regel: 'Freitags wird alles weggeworfen, was keinen Namen trägt.',
      },
      {
        thema: 'das Altpapier',
        vorfall: 'Der Stapel im Flur ist jetzt höher als Felix.',
        regel: 'Wer das letzte Paket bekommt, trägt den Stapel runter.',
      },
      {
        thema: 'die Heizung',
        vorfall: 'Gestern Abend waren es im Büro 27 Grad, bei offenem Fenster.',
        regel: 'Wer als Letzter geht, schließt die Fenster und stellt auf zwei.',
      },
    ],
  },
  {
    about: 'circle',
    lines: `
A: Protokoll von gestern, weil wir sonst wieder alles vergessen:⏎⏎1. {punkt1}⏎2. {punkt2}⏎3. {punkt3}⏎⏎Nächstes Treffen am {date+8} bei {B}.
B: Danke! Zu Punkt 2: {zu2}
C: Und Punkt 3 übernehme ich, bis {date+4} ist das erledigt.
A: Ergänzt. {Fehlt noch etwas?|Sonst noch Wünsche?}
B: Nur Kuchen. 🍰
`,
    variants: [
      {
        punkt1: 'Das Sommerfest ist am 20. Juni, Regentermin eine Woche später.',
        punkt2: 'Jede und jeder zahlt 15 Euro in die Kasse.',
        punkt3: 'Jemand fragt beim Bezirksamt wegen der Grillerlaubnis.',
        zu2: 'die Kasse hat noch 80 Euro vom letzten Jahr, 10 reichen also.',
      },
      {
        punkt1: 'Wir fahren vom 6. bis 8. Februar in die Hütte.',
        punkt2: 'Einkaufen gehen Jonas und Lena, die anderen kochen.',
        punkt3: 'Schneeketten ausleihen.',
        zu2: 'bitte an die Vegetarier denken, wir sind drei.',
      },
    ],
  },
];

import type { Script } from '../script.js';

export const french: readonly Script[] = [
  {
    about: 'work',
    lines: `
A: {Bonjour|Salut} {B}, tu as pu regarder {quoi} ?
B: Oui, ce matin. {avis}
A: D'accord. Tu peux corriger d'ici {day+2} ?
B: {day+2} matin, sans problème. Par contre il me faut {besoin}.
A: Je te l'envoie avant midi.
~ 1h
A: C'est dans le dossier partagé. Dis-moi s'il manque quelque chose.
B: {Tout y est, merci !|C'est parfait, je m'y mets.} 👌
`,
    variants: [
      {
        quoi: 'le contrat du prestataire',
        avis: "La clause sur les délais n'est pas claire, et les pénalités ont disparu.",
        besoin: 'la version signée de 2024',
      },
      {
        quoi: 'les maquettes mobiles',
        avis: 'Très belles, mais le bouton principal passe sous le clavier sur les petits écrans.',
        besoin: 'les dimensions exactes des icônes',
      },
      {
        quoi: 'la traduction des conditions générales',
        avis: 'Deux paragraphes sont encore en anglais et « siège » est ambigu.',
        besoin: 'le glossaire juridique',
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Petit compte rendu de la réunion d'hier :⏎⏎• {p1}⏎• {p2}⏎• {p3}⏎⏎Prochaine réunion le {date+5}.
B: Merci ! Pour le deuxième point, qui s'en charge ?
A: Toi et moi, si ça te va. Je prépare les chiffres, tu rédiges.
B: Ça marche. Échéance ?
A: {date+3}. Comme ça on a deux jours pour relire.
B: C'est noté. ✍️
`,
    variants: [
      {
        p1: 'Le lancement est confirmé, la page des prix part en traduction.',
        p2: 'Il faut une note de deux pages pour la direction.',
        p3: 'Le budget publicité est réduit de 10 %.',
      },
      {
        p1: "L'appli Android plante sur trois anciens modèles, correctif en test.",
        p2: 'Nous devons décider si nous abandonnons Android 9.',
        p3: 'On présente la nouvelle navigation vendredi.',
      },
      {
        p1: 'Le salon de Lyon aura lieu du 9 au 11 mars.',
        p2: 'Le stand et le texte du dépliant sont à préparer.',
        p3: "Deux personnes de l'équipe de Madrid nous rejoignent.",
      },
    ],
  },
  {
    about: 'work',
    lines: `
A: Tu serais disponible {day+1} à {heure} pour {sujet} ?
B: {Pas possible, je suis en formation.|Aïe, j'ai déjà un rendez-vous.} {day+2} même heure ?
A: Parfait. Trente minutes suffiront.
B: Visio ou sur place ?
A: {Sur place, j'apporte les croissants.|Visio, je suis en télétravail.} 🥐
`,
    times: 3,
    variants: [
      { heure: '10 h', sujet: 'préparer la démo' },
      { heure: '14 h 30', sujet: 'le point sur les bugs' },
      { heure: '16 h', sujet: "l'entretien de fin d'année" },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Coucou ! On se fait {sortie} {samedi|ce week-end} ?
B: Carrément ! {info}
A: Rendez-vous à {heure} devant {lieu} ?
B: J'y serai. Je préviens les autres ?
A: Oui, mais pas plus de six, sinon {sinon}.
~ 2h
B: On sera cinq. {autre} arrive un peu plus tard.
A: Super. J'ai trop hâte ! 🥰
`,
    variants: [
      {
        sortie: "l'expo sur les affiches",
        info: "C'est gratuit le premier dimanche du mois, mais il y a la queue.",
        heure: '10 h 30',
        lieu: 'le musée',
        sinon: 'on se perd dans les salles',
        autre: 'Julien',
      },
      {
        sortie: 'une raclette',
        info: "J'ai l'appareil et deux kilos de fromage, ne me demande pas pourquoi.",
        heure: '19 h',
        lieu: 'chez moi',
        sinon: 'les plombs sautent',
        autre: 'Inès',
      },
      {
        sortie: 'une rando aux monts d’Or',
        info: 'La météo annonce grand soleil et zéro degré.',
        heure: '8 h 45',
        lieu: 'la gare',
        sinon: 'on marche comme une tortue',
        autre: 'Personne',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Alors, {question} ?
B: {reponse}
A: Non ! Raconte.
B: {suite}
A: 😂 Il n'y a qu'à toi que ça arrive.
B: {chute}
A: Bon, je t'invite à dîner pour te remettre. {day+2} ?
B: {day+2}. Et tu ne racontes rien à personne.
A: Promis. (Trop tard.)
`,
    variants: [
      {
        question: 'ce premier jour de conduite',
        reponse: "J'ai calé onze fois.",
        suite: "Devant une école. À l'heure de la sortie. Les enfants ont applaudi à la douzième tentative.",
        chute: 'Le moniteur a demandé à changer de métier.',
      },
      {
        question: 'les vacances avec tes parents',
        reponse: 'On a pris le mauvais train.',
        suite: "On voulait aller à Nice et on s'est réveillés à Metz.",
        chute: "Ma mère trouve la cathédrale magnifique, c'est devenu le voyage de l'année.",
      },
      {
        question: 'le cours de poterie',
        reponse: "J'ai fabriqué un cendrier.",
        suite: "C'était censé être un vase.",
        chute: 'Et personne ne fume dans la famille.',
      },
    ],
  },
  {
    about: 'friends',
    times: 3,
    lines: `
A: {Tu déjeunes où ?|On mange ensemble ?|Faim ?}
B: {Le petit italien ?|J'ai apporté des restes, mais je viens quand même.|Midi et quart en bas ?}
A: {Vendu.|Ça marche !|J'arrive.} 🍝
`,
  },
  {
    about: 'circle',
    lines: `
A: Qui s'occupe de quoi pour {evenement} {samedi|du week-end} ?
B: Moi {b}.
C: Je prends {c}.
A: Et moi {a}. Il manque encore {manque}.
B: J'en ai, de l'année dernière !
C: Tu es {B:un génie/une génie}.
A: Récapitulatif : {B} {b}, {C} {c}, moi {a}. Rendez-vous à 18 h, et pas 18 h « à la française ». 😇
~ sun
C: Merci pour cette belle soirée ! 🥂
`,
    variants: [
      { evenement: 'la crémaillère', b: 'les boissons', c: 'le dessert', a: 'la musique', manque: 'des chaises' },
      {
        evenement: 'le pique-nique',
        b: 'les salades',
        c: 'le pain et le fromage',
        a: 'les jeux',
        manque: 'une grande nappe',
      },
      {
        evenement: 'la soirée quiz',
        b: 'les questions de géographie',
        c: 'les questions de cinéma',
        a: 'les lots',
        manque: 'un buzzer',
      },
    ],
  },
  {
    about: 'circle',
    lines: `
A: Sondage très sérieux : {question} ?
B: {b}, évidemment.
C: {c}. Je ne comprends même pas la question.
A: On est donc fâchés pour toujours. C'était bien de vous connaître.
B: 😂
`,
    variants: [
      { question: 'pain au chocolat ou chocolatine', b: 'Pain au chocolat', c: 'Chocolatine' },
      { question: 'la raclette, avec ou sans cornichons', b: 'Avec', c: 'Sans' },
      { question: 'le café, avant ou après le dessert', b: 'Après', c: 'Pendant' },
    ],
  },
];
